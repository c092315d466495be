package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	asDemo := flags.Bool("demo", false, "show three nodes and a Redis on loopback, and exit")
	var n node
	flags.StringVar(&n.listen, "listen", "127.0.0.1:8080", "`address` to serve on")
	flags.StringVar(&n.issuer, "issuer", "", "`URL` of the token issuer")
	flags.StringVar(&n.audience, "audience", "", "the `name` of the service, as it stands in aud")
	flags.StringVar(&n.redis, "redis", "127.0.0.1:6379", "`address` of Redis")
	flags.BoolVar(&n.insecureHTTP, "insecure-http", false, "allow an issuer without TLS: for tests on loopback only")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *asDemo {
		return demo(ctx, os.Stdout)
	}
	return n.serve(ctx)
}
