package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var cfg config
	asDemo := flags.Bool("demo", false, "show on loopback what passes and what is refused, and exit")
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to serve on")
	algs := flags.String("alg", "RS256,PS256,ES256,EdDSA", "accepted `algorithms`")
	flags.StringVar(&cfg.issuer, "issuer", "", "`URL` of the token issuer, as it stands in iss")
	flags.StringVar(&cfg.audience, "audience", "", "the `name` of the service, as it stands in aud")
	flags.StringVar(&cfg.upstream, "upstream", "", "`URL` of the service behind")
	flags.BoolVar(&cfg.insecureHTTP, "insecure-http", false, "allow an issuer without TLS: for tests on loopback only")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *asDemo {
		return demo(ctx, stdout)
	}
	for name, value := range map[string]string{"issuer": cfg.issuer, "audience": cfg.audience, "upstream": cfg.upstream} {
		if value == "" {
			return fmt.Errorf("-%s is required, or -demo; -h lists the flags", name)
		}
	}
	cfg.algorithms = strings.Split(*algs, ",")
	cfg.logger = slog.New(slog.NewTextHandler(stderr, nil))
	gateway, err := newGateway(cfg)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	return serve(ctx, listener, gateway)
}

// serve answers until ctx ends, and then finishes what it has begun.
func serve(ctx context.Context, listener net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
