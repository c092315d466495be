package frameworks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse-auth/gatehouse/examples/frameworks"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

const service = "/example.orders.v1.Orders/"

// dial is a client of a server on loopback. Whatever a test does, nothing of ours is
// left running behind it, though the server still is.
func dial(t *testing.T, w *world, more ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	server, err := frameworks.GRPC(w.Service, more...)
	require.NoError(t, err)
	return serve(t, server)
}

func serve(t *testing.T, server *grpc.Server) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		var left string
		require.Eventually(t, func() bool { left = running(); return left == "" }, 20*time.Second, 10*time.Millisecond, "left running")
		server.Stop()
		require.NoError(t, <-served)
	})
	return conn
}

// running is the goroutines in which the guard is.
func running() string {
	stacks := make([]byte, 1<<20)
	var ours []string
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "frameworks.(*Guard)") || strings.Contains(stack, "frameworks.(*guarded)") {
			ours = append(ours, stack)
		}
	}
	return strings.Join(ours, "\n\n")
}

// with is a context of a call with these values of Authorization.
func with(t *testing.T, credentials ...string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return metadata.NewOutgoingContext(ctx, metadata.MD{"authorization": credentials})
}

func call(ctx context.Context, conn *grpc.ClientConn, method string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := conn.Invoke(ctx, service+method, new(emptypb.Empty), out)
	return out.GetValue(), err
}

// talk opens a stream in both directions and hears its first message.
func talk(ctx context.Context, conn *grpc.ClientConn, method string) (grpc.ClientStream, string, error) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, service+method)
	if err != nil {
		return nil, "", err
	}
	text, err := hear(stream)
	return stream, text, err
}

func hear(stream grpc.ClientStream) (string, error) {
	out := new(wrapperspb.StringValue)
	err := stream.RecvMsg(out)
	return out.GetValue(), err
}

// refused holds a status to a code and a reason, and says when to come back.
func refused(t *testing.T, err error, code codes.Code, reason, name string) time.Duration {
	t.Helper()
	st, ok := status.FromError(err)
	require.True(t, ok, name)
	require.Equal(t, code, st.Code(), "%s: %v", name, err)
	var retry time.Duration
	var reasons, domains []string
	for _, detail := range st.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			reasons, domains = append(reasons, detail.GetReason()), append(domains, detail.GetDomain())
		case *errdetails.RetryInfo:
			retry = detail.GetRetryDelay().AsDuration()
		default:
			require.Fail(t, "another detail", name)
		}
	}
	if reason == "" {
		require.Empty(t, st.Details(), name)
		return 0
	}
	require.Equal(t, []string{reason}, reasons, name)
	require.Equal(t, []string{"orders.example.com"}, domains, name)
	require.Equal(t, reason, st.Message(), name)
	require.Equal(t, code == codes.Unavailable, retry > 0, name)
	return retry
}

// gRPC gives the answers of the table, to a unary call and to a stream.
func TestGRPC(t *testing.T) {
	w := newWorld(t, false)
	var logged bytes.Buffer
	w.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	conn := dial(t, w)
	panics := 0
	for _, r := range append(table(t, w),
		row{"method without a rule", unlisted, []string{"Bearer " + w.token(t)}, 403, "", "", codes.PermissionDenied, "forbidden"},
		row{"method without a rule, no token", unlisted, nil, 401, "", "", codes.Unauthenticated, "no_token"},
	) {
		if r.action.rpc == "" {
			continue
		}
		for kind, ask := range map[string]func() (string, error){
			"unary": func() (string, error) { return call(with(t, r.credentials...), conn, r.action.rpc) },
			"stream": func() (string, error) {
				stream, text, err := talk(with(t, r.credentials...), conn, r.action.rpc+"Stream")
				if err != nil {
					return text, err
				}
				require.NoError(t, stream.CloseSend())
				_, err = hear(stream)
				require.ErrorIs(t, err, io.EOF, r.name)
				return text, nil
			},
		} {
			before := w.ran.Load()
			text, err := ask()
			refused(t, err, r.code, r.reason, r.name+", "+kind)
			require.Equal(t, r.body, text, r.name)
			require.Equal(t, r.runs(), w.ran.Load() == before+1, r.name)
			require.Equal(t, !r.runs(), w.ran.Load() == before, r.name)
		}
		if r.code == codes.Internal {
			panics += 2
		}
	}
	require.NotZero(t, panics)
	require.Equal(t, panics, strings.Count(logged.String(), `msg="grpc: panic"`))
	_, err := call(with(t, "Bearer "+w.token(t)), conn, "Nothing")
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

// What a caller cannot help is Unavailable, and says when to come back.
func TestGRPCUnavailable(t *testing.T) {
	ask := func(t *testing.T, w *world, conn *grpc.ClientConn, token string) (a, b time.Duration) {
		t.Helper()
		before := w.ran.Load()
		_, err := call(with(t, "Bearer "+token), conn, "List")
		a = refused(t, err, codes.Unavailable, "unavailable", "unary")
		_, _, err = talk(with(t, "Bearer "+token), conn, "ListStream")
		b = refused(t, err, codes.Unavailable, "unavailable", "stream")
		require.Equal(t, before, w.ran.Load())
		return a, b
	}
	t.Run("key server", func(t *testing.T) {
		w := newWorld(t, false)
		w.idp.Close()
		a, b := ask(t, w, dial(t, w), w.token(t))
		require.GreaterOrEqual(t, min(a, b), time.Second)
		require.LessOrEqual(t, max(a, b), time.Hour)
	})
	t.Run("revocation", func(t *testing.T) {
		w := newWorld(t, false)
		conn, token := dial(t, w), w.token(t)
		_, err := call(with(t, "Bearer "+token), conn, "List")
		require.NoError(t, err)
		w.unsure.Store(true)
		a, b := ask(t, w, conn, token)
		require.Equal(t, 17*time.Second, a)
		require.Equal(t, 17*time.Second, b)
	})
}

// A stream ends when its token is no longer wanted, whatever it does at that time.
func TestGRPCStreamEnds(t *testing.T) {
	for _, row := range []struct {
		name   string
		end    func(t *testing.T, w *world, token string)
		code   codes.Code
		reason string
	}{
		{"expired", func(_ *testing.T, w *world, _ string) { w.ahead.Store(int64(2 * time.Hour)) }, codes.Unauthenticated, "invalid_token"},
		{"revoked", func(t *testing.T, w *world, token string) { w.revoke(t, token) }, codes.Unauthenticated, "invalid_token"},
		{"cannot tell", func(_ *testing.T, w *world, _ string) { w.unsure.Store(true) }, codes.Unavailable, "unavailable"},
		{"login too old for a rule", func(_ *testing.T, w *world, _ string) { w.ahead.Store(int64(10 * time.Minute)) }, codes.Unauthenticated, "step_up"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, false)
			w.RecheckEvery = 5 * time.Millisecond
			feed := make(chan string)
			w.Events = func() <-chan string { return feed }
			conn := dial(t, w)
			token := w.sign(t, map[string]any{
				"sub": "ann", "scope": "orders:read", "roles": []string{"admin"}, "auth_time": time.Now().Unix(),
			})
			ctx := with(t, "Bearer "+token)

			waits, text, err := talk(ctx, conn, "RemoveStream") // its handler waits for a message
			require.NoError(t, err)
			require.Equal(t, "orders of ann", text)
			watches, err := watch(ctx, conn) // and this one for an event
			require.NoError(t, err)
			offer(t, feed, "0")
			text, err = hear(watches)
			require.NoError(t, err)
			require.Equal(t, "0", text)
			for range 3 { // it passes its rechecks until then
				require.NoError(t, waits.SendMsg(wrapperspb.String("still there")))
				text, err = hear(waits)
				require.NoError(t, err)
				require.Equal(t, "still there", text)
			}

			row.end(t, w, token)
			_, err = hear(waits)
			refused(t, err, row.code, row.reason, "waits for a message")
			if row.reason == "step_up" { // Watch has no such rule: it goes on
				offer(t, feed, "1")
				text, err = hear(watches)
				require.NoError(t, err)
				require.Equal(t, "1", text)
				close(feed)
				_, err = hear(watches)
				require.ErrorIs(t, err, io.EOF)
				return
			}
			_, err = hear(watches)
			refused(t, err, row.code, row.reason, "waits for an event")
		})
	}
}

func watch(ctx context.Context, conn *grpc.ClientConn) (grpc.ClientStream, error) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, service+"Watch")
	if err == nil {
		err = errors.Join(stream.SendMsg(new(emptypb.Empty)), stream.CloseSend())
	}
	return stream, err
}

// The streaming answer of the table.
func TestWatch(t *testing.T) {
	w := newWorld(t, false)
	conn := dial(t, w)
	stream, err := watch(with(t, "Bearer "+w.token(t)), conn)
	require.NoError(t, err)
	var heard []string
	for {
		text, err := hear(stream)
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		heard = append(heard, text)
	}
	require.Equal(t, []string{"0", "1", "2"}, heard)
	stream, err = watch(with(t), conn)
	require.NoError(t, err)
	_, err = hear(stream)
	refused(t, err, codes.Unauthenticated, "no_token", "no token")
	require.EqualValues(t, 1, w.ran.Load())
}

// limited is a stream with a context of its own.
type limited struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // ServerStream has it for a method
}

func (s limited) Context() context.Context { return s.ctx }

// That a call has run out of time, or was given up, is not taken for an outage of the
// issuer that it waits for; its handler never runs.
func TestGRPCCallEnds(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(ctx context.Context) (context.Context, context.CancelFunc)
		code codes.Code
	}{
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 10*time.Millisecond)
		}, codes.DeadlineExceeded},
		{"given up", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(10*time.Millisecond, cancel)
			return ctx, cancel
		}, codes.Canceled},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, true)
			conn := dial(t, w,
				grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
					ctx, cancel := row.end(ctx)
					defer cancel()
					return next(ctx, req)
				}),
				grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
					ctx, cancel := row.end(ss.Context())
					defer cancel()
					return next(srv, limited{ss, ctx})
				}))
			_, err := call(with(t, "Bearer "+w.token(t)), conn, "List")
			refused(t, err, row.code, "", "unary")
			_, _, err = talk(with(t, "Bearer "+w.token(t)), conn, "ListStream")
			refused(t, err, row.code, "", "stream")
			require.Zero(t, w.ran.Load())
			w.release()
		})
	}
}

// A caller's own deadline ends its call while the issuer stalls, and its stream while
// that waits.
func TestGRPCDeadline(t *testing.T) {
	w := newWorld(t, true)
	conn, token := dial(t, w), w.token(t)
	ctx, cancel := context.WithTimeout(with(t, "Bearer "+token), 50*time.Millisecond)
	defer cancel()
	_, err := call(ctx, conn, "List")
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	w.release()
	_, err = call(with(t, "Bearer "+token), conn, "List") // the keys are there from now on
	require.NoError(t, err)
	ctx, cancel = context.WithTimeout(with(t, "Bearer "+token), 300*time.Millisecond)
	defer cancel()
	waits, _, err := talk(ctx, conn, "ListStream")
	if err == nil { // else the machine is slow
		_, err = hear(waits)
	}
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
}

// A stream whose client leaves ends with it.
func TestGRPCClientLeavesStream(t *testing.T) {
	w := newWorld(t, false)
	conn := dial(t, w)
	ctx, cancel := context.WithCancel(with(t, "Bearer "+w.token(t)))
	_, _, err := talk(ctx, conn, "ListStream")
	require.NoError(t, err)
	require.NotEmpty(t, running())
	cancel()
	require.Eventually(t, func() bool { return running() == "" }, 20*time.Second, 10*time.Millisecond)
}

// Many streams at once: those of a revoked token end, and none else.
func TestGRPCManyStreams(t *testing.T) {
	w := newWorld(t, false)
	w.RecheckEvery = 5 * time.Millisecond
	conn := dial(t, w)
	tokens := []string{w.token(t), w.token(t)}
	var ready, all sync.WaitGroup
	revoked := make(chan struct{})
	faults := make(chan error, 100)
	for i := range 20 {
		ready.Add(1)
		all.Go(func() {
			stream, _, err := talk(with(t, "Bearer "+tokens[i%2]), conn, "ListStream")
			ready.Done()
			if err != nil {
				faults <- err
				return
			}
			<-revoked
			if i%2 == 0 {
				for err == nil { // one message more or less may get through
					_ = stream.SendMsg(wrapperspb.String("more"))
					_, err = hear(stream)
				}
				if status.Code(err) != codes.Unauthenticated {
					faults <- fmt.Errorf("revoked: %w", err)
				}
				return
			}
			for range 20 {
				_ = stream.SendMsg(wrapperspb.String("more"))
				if text, err := hear(stream); err != nil || text != "more" {
					faults <- fmt.Errorf("good: %w", err)
				}
			}
			_ = stream.CloseSend()
			if _, err := hear(stream); !errors.Is(err, io.EOF) {
				faults <- fmt.Errorf("good: %w", err)
			}
		})
	}
	ready.Wait()
	w.revoke(t, tokens[0])
	close(revoked)
	all.Wait()
	close(faults)
	for err := range faults {
		require.NoError(t, err)
	}
}

// A panic in a rule that only a recheck meets ends that stream, and nothing else.
func TestGRPCRulePanics(t *testing.T) {
	w := newWorld(t, false)
	asked := 0
	guard := &frameworks.Guard{
		Validator: w.Validator, Every: 5 * time.Millisecond, Domain: "orders.example.com",
		Rules: map[string][]jwtvalidate.Rule{service + "ListStream": {jwtvalidate.ClaimsRule(func(*jwtvalidate.Claims) error {
			if asked++; asked > 1 {
				panic("broken")
			}
			return nil
		})}},
	}
	options, err := guard.Options()
	require.NoError(t, err)
	stream, _, err := talk(with(t, "Bearer "+w.token(t)), dial(t, w, options...), "ListStream") // this guard before that of GRPC
	require.NoError(t, err)
	_, err = hear(stream)
	refused(t, err, codes.Internal, "", "panic")
}

// A handler that does not look at its context can send nothing once its token is
// refused, nor hide that by the status it returns. The guard also stands before
// grpc.UnknownServiceHandler.
func TestGRPCStubbornHandler(t *testing.T) {
	w := newWorld(t, false)
	guard := &frameworks.Guard{
		Validator: w.Validator, Every: 5 * time.Millisecond, Domain: "orders.example.com", Rules: map[string][]jwtvalidate.Rule{service + "Any": {}},
	}
	options, err := guard.Options()
	require.NoError(t, err)
	sent := make(chan error, 1)
	conn := serve(t, grpc.NewServer(append(options, grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
		_ = ss.SendMsg(wrapperspb.String("first"))
		<-ss.Context().Done()
		sent <- ss.SendMsg(wrapperspb.String("too late"))
		return nil
	}))...))
	token := w.token(t)
	stream, text, err := talk(with(t, "Bearer "+token), conn, "Any")
	require.NoError(t, err)
	require.Equal(t, "first", text)
	w.revoke(t, token)
	text, err = hear(stream)
	refused(t, err, codes.Unauthenticated, "invalid_token", "heard")
	require.Empty(t, text)
	refused(t, <-sent, codes.Unauthenticated, "invalid_token", "sent")
	_, _, err = talk(with(t), conn, "Any")
	refused(t, err, codes.Unauthenticated, "no_token", "no token")
}

// Options names what is wrong, all at once.
func TestGuardOptions(t *testing.T) {
	_, err := new(frameworks.Guard).Options()
	require.ErrorContains(t, err, "Validator: required")
	w := newWorld(t, false)
	_, err = (&frameworks.Guard{Validator: w.Validator, Rules: map[string][]jwtvalidate.Rule{"/a/B": {jwtvalidate.AllScopes()}}}).Options()
	for _, text := range []string{"Every: required", "Domain: required", `Rules["/a/B"]`} {
		require.ErrorContains(t, err, text)
	}
	w.RecheckEvery = -1
	_, err = frameworks.GRPC(w.Service)
	require.ErrorContains(t, err, "Every: required")
}
