// Package celrule makes a rule of jwtvalidate from a text in CEL, the Common
// Expression Language, for policies that are kept as configuration.
//
//	own, err := celrule.New("claims.sub == request.path_values.id || 'admin' in claims.roles")
//	mux.Handle("GET /users/{id}", v.Require(own, jwtvalidate.AllScopes("users:read"))(show))
//
// # Variables
//
//	claims                  the claims of the token, by name
//	now                     the time, in UTC, one for an evaluation
//	request.method          as the client sent it
//	request.host            the Host header or :authority, as the client sent it
//	request.path            URL.Path, unescaped: an escaped slash is a slash
//	request.path_values     wildcards of the matched pattern, as PathValue gives them
//	request.query           name to list of texts
//	request.headers         name, in any case, to list of texts
//	request.client_address  the address of RemoteAddr, without its port
//
// claims, path_values, query and headers are asked by name: claims.sub,
// claims['https://example.com/roles'], has(claims.sub), 'sub' in claims. They are
// not counted, compared or gone through as a whole. The client address is that of the
// connection, and behind a proxy the proxy's: no X-Forwarded-For or Forwarded is read.
// cidr('10.0.0.0/8').containsIP(request.client_address) asks for a network.
//
// A claim is a string, bool, null, list or map as in the token; has is true for
// null. A number is an int if its text is an integer that fits one, else a uint if it
// fits that; an integer beyond both is an error, since a double would equal its
// neighbours, and so is a claim that holds one; any other number (1.5, 1e3) is the
// nearest double. exp, nbf and iat are numbers: timestamp(claims.exp) - now < duration('5m').
//
// # Verdicts
//
// True passes and false is a plain no. An error says that the rule cannot say, as
// built-in rules do, and is 403 also within Not: a claim or header that is not there
// and was not asked for by has or in, a value of another type, a division by zero, a
// malformed query, a text of the request above 16 KiB, too much work. The error has
// the reason and its place in the text, as line:column, and no value. In CEL, a side
// of && or || that decides hides an error of the other.
//
// Three things of CEL are no errors, where built-in rules cannot say. Values of two
// types differ: claims.status != 'blocked' passes for ['blocked'], null and 7, so ask
// for what may pass, not for what may not. in asks a map for its names: 'admin' in
// claims.roles passes for {"admin": false}. And all passes where there is nothing to ask.
//
// A text that speaks of the request makes a rule like RequestRule, which cannot say
// anything in Allow; any other makes one like ClaimsRule, for every transport.
//
// # What is checked when a rule is made
//
// Syntax, names, and types where they are known: claims are dynamic. The result
// is bool, or a claim that must be a bool then. Patterns of matches and time zones are
// literals, compiled or loaded now (where a machine has no zones, import time/tzdata);
// evaluating reads and writes nothing but memory. Of the language there are the
// standard functions and macros, and charAt, lowerAscii, upperAscii, split, substring,
// trim, cidr, containsIP, ip and isIP; no messages. A text has at most 8 KiB, 64 levels
// and 4000 nodes, its macros 3 levels, its patterns 500 instructions. Within a macro nothing is built that could grow with each element: no list or map
// of variables, no sum that may be of lists, no map or filter; and no variable has the
// name of one around it.
//
// # What is bounded when it is evaluated
//
// The work of macros, and of texts with many calls, in steps: some milliseconds. A
// text for matches has at most 4 KiB. A macro in a rule about the request stops when
// the request's context ends.
//
// # What is not checked
//
// That a text holds no secret: errors and events show its beginning, unless Named says
// otherwise. An int that is compared with a double is compared as one. Whether a policy is wise. A text is the service's own word, like its code: do not
// take it from clients. Bodies are never read.
//
// # Coming from KrakenD
//
//	JWT.sub                          claims.sub
//	req_method, req_path             request.method, request.path
//	req_params.Id                    request.path_values.id: the name of the pattern, its case kept
//	req_headers['X-Tenant']          request.headers['x-tenant'], in any case
//	req_querystring.page             request.query.page; has(req_querystring['a[]']) is 'a[]' in request.query
//	now, timestamp(now)              now, timestamp(now)
//	resp_…                           none: a rule is asked before the handler
//
// What was a refusal with 401 is 403. Several expressions are several rules.
package celrule
