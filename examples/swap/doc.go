// Swap shows a service whose issuers change while it serves: on SIGHUP it reads its
// file again, and puts a new Validator in the place of the old one. Requests that are
// under way end with the one that they began with; a file with a mistake changes nothing.
//
//	ISSUERS_FILE=issuers.json go run ./examples/swap
//
// issuers.json is [{"url": "https://idp.example.com/", "algorithms": ["RS256"], "audiences": ["https://api.example.com"]}].
// Copy service. A new Validator remembers no token, but the keys stay at hand.
package main
