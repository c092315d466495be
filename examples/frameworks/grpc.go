package frameworks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// Guard stands before a gRPC server as Handler and Require do before net/http. Only
// calls with a good token that their method's rules allow reach a handler, which
// finds the claims by jwtvalidate.FromContext.
//
// Not checked: TLS, without which nobody should send a Bearer token (RFC 6750 section
// 5.3). A token with a cnf claim is refused, as CheckToken has no connection to hold
// it against. A unary call's message has been read by then: see grpc.MaxRecvMsgSize.
type Guard struct {
	Validator *jwtvalidate.Validator
	// Rules are those of each method, by its full name. An empty list: any good token
	// will do. A method that is not there is refused. Rules about an HTTP request
	// refuse everything here.
	Rules map[string][]jwtvalidate.Rule
	// Every is how often a stream asks again: for so long, it may outlive its token.
	Every time.Duration
	// Domain is who refuses, in the details of a status.
	Domain string
	// Logger gets the panics of handlers, without their value. Nil: silent.
	Logger *slog.Logger
}

// Options are the interceptors. They belong in front of all others that are not
// for callers without a token.
func (g *Guard) Options() ([]grpc.ServerOption, error) {
	if g.Validator == nil {
		return nil, errors.New("guard: Validator: required")
	}
	var errs []error
	if g.Every <= 0 {
		errs = append(errs, errors.New("guard: Every: required"))
	}
	if g.Domain == "" {
		errs = append(errs, errors.New("guard: Domain: required"))
	}
	for method, rules := range g.Rules {
		// Without claims, Allow says whether the rules were made well.
		if err := g.allow(context.Background(), nil, rules); err != nil && !errors.Is(err, jwtvalidate.ErrNoToken) {
			errs = append(errs, fmt.Errorf("guard: Rules[%q]: %w", method, err))
		}
	}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(g.unary), grpc.ChainStreamInterceptor(g.stream)}, errors.Join(errs...)
}

func (g *Guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer g.recovered(ctx, info.FullMethod, &err)
	claims, err := g.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, g.refusal(ctx, err)
	}
	return handler(g.Validator.WithClaims(ctx, claims), req)
}

func (g *Guard) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer g.recovered(ss.Context(), info.FullMethod, &err)
	claims, err := g.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return g.refusal(ss.Context(), err)
	}
	ctx, end := context.WithCancelCause(g.Validator.WithClaims(ss.Context(), claims))
	watched := make(chan error, 1)
	go func() {
		refused := g.watch(ctx, info.FullMethod, claims)
		end(refused)
		watched <- refused
	}()
	defer func() {
		end(nil)
		if refused := <-watched; refused != nil {
			err = refused // whatever the handler made of it
		}
	}()
	return handler(srv, &guarded{ss, ctx})
}

// admit decides about a call before its handler runs.
func (g *Guard) admit(ctx context.Context, method string) (*jwtvalidate.Claims, error) {
	token, err := bearer(ctx)
	if err != nil {
		return nil, err
	}
	claims, err := g.Validator.CheckToken(ctx, token)
	if err != nil {
		return nil, err
	}
	rules, known := g.Rules[method]
	if !known {
		return nil, jwtvalidate.ErrForbidden
	}
	return claims, g.allow(ctx, claims, rules)
}

func (g *Guard) allow(ctx context.Context, claims *jwtvalidate.Claims, rules []jwtvalidate.Rule) error {
	if len(rules) == 0 { // Allow takes that for a mistake
		return nil
	}
	return g.Validator.Allow(ctx, claims, rules...)
}

// bearer is the token of a call, as in RFC 6750 section 2.1: one value, whose scheme
// is Bearer in any case. Another scheme is no token, which is for CheckToken to say.
func bearer(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	switch ours := strings.EqualFold(scheme, "Bearer"); {
	case len(values) > 1, ours && (token == "" || strings.ContainsAny(token, " ,")):
		return "", jwtvalidate.ErrInvalidRequest
	case !ours:
		return "", nil
	}
	return token, nil
}

// watch asks again from time to time, about the token and the rules, some of which
// look at the clock. It returns nil when the call is over, else its status: also when
// it cannot be told, as the client can come back.
func (g *Guard) watch(ctx context.Context, method string, claims *jwtvalidate.Claims) (err error) {
	defer g.recovered(ctx, method, &err) // a rule may be a function of yours
	tick := time.NewTicker(g.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := g.Validator.Recheck(ctx, claims)
		if err == nil {
			err = g.allow(ctx, claims, g.Rules[method])
		}
		if err != nil && ctx.Err() == nil {
			return g.refusal(ctx, err)
		}
	}
}

// recovered turns a panic into a status: gRPC would let it end the process.
func (g *Guard) recovered(ctx context.Context, method string, err *error) {
	if recover() == nil {
		return
	}
	*err = status.Error(codes.Internal, "internal error")
	if g.Logger != nil {
		g.Logger.ErrorContext(ctx, "grpc: panic", "method", method, "stack", string(debug.Stack()))
	}
}

// refusal is the status of an error of jwtvalidate, as WriteError is its answer. It
// says as much as a challenge does: which fault a bad token has is for logs only.
//
// A malformed credential is Unauthenticated, not InvalidArgument: that would be about
// the message. So is a step-up: the user has to log in again.
func (g *Guard) refusal(ctx context.Context, err error) error {
	if ctx.Err() != nil { // the caller's own; that of a key server is ErrUnavailable
		return status.FromContextError(ctx.Err()).Err()
	}
	code, reason := codes.Unauthenticated, jwtvalidate.ReasonOf(err)
	switch reason {
	case jwtvalidate.ReasonUnavailable:
		code = codes.Unavailable
	case jwtvalidate.ReasonForbidden, jwtvalidate.ReasonInsufficientScope:
		code = codes.PermissionDenied
	case jwtvalidate.ReasonNoToken, jwtvalidate.ReasonInvalidRequest, jwtvalidate.ReasonStepUp:
	default:
		reason = jwtvalidate.ReasonInvalidToken
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(reason), Domain: g.Domain}}
	if code == codes.Unavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter(err))})
	}
	st := status.New(code, string(reason))
	if detailed, err := st.WithDetails(details...); err == nil {
		st = detailed
	}
	return st.Err()
}

// retryAfter is what the error says, within the bounds of WriteError.
func retryAfter(err error) time.Duration {
	var hint interface{ RetryAfter() time.Duration }
	if !errors.As(err, &hint) {
		return 5 * time.Second
	}
	return min(max(hint.RetryAfter(), time.Second), time.Hour)
}

// guarded is a stream that is over, for its handler, as soon as its token is refused.
// A SendMsg that waits for a client who does not read is not interrupted.
type guarded struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // ServerStream has it for a method
}

func (s *guarded) Context() context.Context { return s.ctx }

func (s *guarded) SendMsg(m any) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.ServerStream.SendMsg(m)
}

// RecvMsg does not wait for a message that may never come. What it leaves behind
// ends with the call; m must not be used again after an error.
func (s *guarded) RecvMsg(m any) error {
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(m) }()
	select {
	case <-s.ctx.Done():
	case err := <-received:
		if s.ctx.Err() == nil {
			return err
		}
	}
	return context.Cause(s.ctx)
}
