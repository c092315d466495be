package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
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
	var simple simple
	asDemo := flags.Bool("demo", false, "show on loopback what passes and what is refused, and exit")
	check := flags.Bool("check", false, "read the config, tell all its faults, and exit")
	file := flags.String("config", "", "`file` that says everything, in the place of the flags below; see config.example.json")
	flags.StringVar(&simple.listen, "listen", "127.0.0.1:8080", "`address` to serve on")
	flags.StringVar(&simple.algorithms, "alg", "RS256,PS256,ES256,EdDSA", "accepted `algorithms`")
	flags.StringVar(&simple.issuer, "issuer", "", "`URL` of the token issuer, as it stands in iss")
	flags.StringVar(&simple.audience, "audience", "", "the `name` of the service, as it stands in aud")
	flags.StringVar(&simple.upstream, "upstream", "", "`URL` of the service behind")
	flags.BoolVar(&simple.insecureHTTP, "insecure-http", false, "allow an issuer without TLS: for tests on loopback only")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	from := host{env: os.LookupEnv, read: os.ReadFile, log: stderr}
	var c *config
	var err error
	switch {
	case *asDemo:
		return demo(ctx, stdout)
	case *file != "":
		if other := beside(flags, "config", "check"); other != "" {
			return fmt.Errorf("-%s stands in the config file: not together with -config", other)
		}
		var text []byte
		if text, err = os.ReadFile(*file); err != nil {
			return err
		}
		if c, err = readConfig(text, from); err != nil {
			return fmt.Errorf("%s:\n%w", *file, err)
		}
	default:
		if c, err = simple.config(from); err != nil {
			return err
		}
	}
	g, err := newGateway(c)
	if err != nil {
		return err
	}
	if *check {
		fmt.Fprintln(stdout, "the config is good")
		return nil
	}
	h, err := g.open(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on %s\n", h.front.url)
	if h.watcher != nil {
		fmt.Fprintf(stdout, "health on %s\n", h.watcher.url)
	}
	if h.office != nil {
		fmt.Fprintf(stdout, "admin on %s\n", h.office.url)
	}
	return h.serve(ctx)
}

// beside is a flag that was given beside some others, empty if none was.
func beside(flags *flag.FlagSet, these ...string) (other string) {
	flags.Visit(func(f *flag.Flag) {
		for _, name := range these {
			if f.Name == name {
				return
			}
		}
		other = f.Name
	})
	return other
}

// simple is a gateway of one issuer, one upstream and no route, as flags say it.
type simple struct {
	listen, issuer, audience, upstream, algorithms string
	insecureHTTP                                   bool
}

// config writes what flags say as a config file, so that there is one way to read
// both, and names the flags where that one names members.
func (f simple) config(from host) (*config, error) {
	for _, required := range [][2]string{{"issuer", f.issuer}, {"audience", f.audience}, {"upstream", f.upstream}} {
		if required[1] == "" {
			return nil, fmt.Errorf("-%s is required, or -config, or -demo; -h lists the flags", required[0])
		}
	}
	type object = map[string]any
	text, err := json.Marshal(object{
		"listen":         f.listen,
		"max_body_bytes": int64(1) << 40,
		"issuers": []any{object{
			"url": f.issuer, "audiences": []string{f.audience}, "algorithms": strings.Split(f.algorithms, ","), "insecure_http": f.insecureHTTP,
		}},
		"upstreams": []any{object{"name": "upstream", "url": f.upstream}},
		"routes":    []any{object{"pattern": "/", "upstream": "upstream"}},
	})
	if err != nil {
		return nil, err
	}
	c, err := readConfig(text, from)
	found, ok := errors.AsType[problems](err)
	if !ok {
		return c, err
	}
	lines := make([]string, len(found))
	for i, p := range found {
		lines[i] = flagOf(p.path) + ": " + p.text
	}
	return nil, errors.New(strings.Join(lines, "\n"))
}

func flagOf(path string) string {
	for member, flag := range map[string]string{
		"listen": "-listen", "issuers[0].url": "-issuer", "issuers[0].audiences": "-audience",
		"issuers[0].algorithms": "-alg", "upstreams[0].url": "-upstream",
	} {
		if strings.HasPrefix(path, member) {
			return flag
		}
	}
	return path
}
