package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if os.Getenv(serveVariable) != "" {
		err = serve(ctx, os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // a program: make has to see that it failed
	}
}

// sections are run in this order.
var sections = []struct {
	name string
	run  func(context.Context, *session) error
}{
	{"peers", peersSection},
	{"cores", coresSection},
	{"rotation", rotationSection},
	{"issuers", issuersSection},
	{"claims", claimsSection},
	{"extras", extrasSection},
	{"memory", memorySection},
	{"refusals", refusalsSection},
	{"http", httpSection},
}

// session is one run of the program.
type session struct {
	out    io.Writer
	rounds int
	sizes  sizes
}

// sizes are how much there is of what takes long to make. The tests have less.
type sizes struct {
	turn     int           // tokens that a first sight goes through
	fill     int           // others that fill the memory before
	rotation []int         // tokens in rotation
	requests int           // drawn from them
	issuers  []int         // configured
	memory   int           // tokens to be remembered
	http     time.Duration // of one measurement over HTTP
	heap     int           // MiB that are in use besides
}

var full = sizes{
	turn: 10_000, fill: 30_000, rotation: []int{100, 10_000, 1_000_000}, requests: 3 << 18,
	issuers: []int{1, 10, 1_000}, memory: 10_000, http: 2 * time.Second, heap: 64,
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", strings.Join(names, ","), "`sections` to run")
	each := flags.Duration("time", 100*time.Millisecond, "`duration` of one measurement")
	rounds := flags.Int("rounds", 11, "measurements of each row, of which the median is shown")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only: no section %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	if flags.NArg() > 0 || *rounds < 1 || *each <= 0 {
		return errors.New("-time and -rounds are positive, and there are no arguments")
	}
	testing.Init() // after our own flags, which it would join
	if err := flag.Set("test.benchtime", each.String()); err != nil {
		return err
	}
	return (&session{out: stdout, rounds: *rounds, sizes: full}).run(ctx, wanted)
}

func (s *session) run(ctx context.Context, wanted []string) error {
	s.note("%s\n\nEach figure is the median of %d measurements, taken in turns.", machine(), s.rounds)
	// The garbage collector runs each time that the heap has doubled: in a program that
	// holds nothing, hundreds of times a second, and that would be what is measured.
	heap := make([]byte, s.sizes.heap<<20)
	defer runtime.KeepAlive(heap)
	s.note("%d MiB are in use besides, as in a small service.", s.sizes.heap)
	for _, section := range sections {
		if !slices.Contains(wanted, section.name) {
			continue
		}
		s.note("\n## %s\n", section.name)
		if err := section.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", section.name, err)
		}
	}
	return nil
}

// note prints a line. What cannot be printed is lost, as with any program's output.
func (s *session) note(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}
