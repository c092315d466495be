// Bench shows what the middleware of jwtvalidate costs a request: beside the bare
// check of a signature by the standard library, and beside other libraries that a
// service might use. `make tables` in the root runs it, and ends in four minutes.
//
//	go run -tags krakend . -only peers,http   # some sections
//	go run . -time 1s                         # calmer figures, without krakend-jose
//
// It prints tables in Markdown. All of a table is timed in one process, in turns: a
// round gives each row some time, and each figure is the median of the rounds. So
// noise hits all rows alike, and the ratios of one run can be compared; the times
// belong to the machine, which is printed first. Many short rounds are steadier than
// a few long ones.
//
// Before anything is timed, each candidate must let a good token through and refuse
// a forged one, an expired one, and those of another issuer and audience: whoever
// does not check is not compared. The tests of this module ask the same.
//
// What is not measured: fetching keys (all have them), the network but for the
// section http, and time to the first request.
//
// The build tag krakend adds a peer whose dependencies take longer to build than all
// the others together; without it the row is missing.
package main
