package frameworks

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// GRPC is the service on gRPC. More options, such as grpc.Creds, come first.
func GRPC(s Service, more ...grpc.ServerOption) (*grpc.Server, error) {
	guard := &Guard{
		Validator: s.Validator,
		Rules: map[string][]jwtvalidate.Rule{
			ordersService + "List":         {readOrders},
			ordersService + "ListStream":   {readOrders},
			ordersService + "Remove":       {isAdmin, freshLogin},
			ordersService + "RemoveStream": {isAdmin, freshLogin},
			ordersService + "Watch":        {},
			ordersService + "Break":        {},
			ordersService + "BreakStream":  {},
		},
		Every:  cmp.Or(s.RecheckEvery, 30*time.Second),
		Domain: "orders.example.com",
		Logger: s.Logger,
	}
	options, err := guard.Options()
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(append(more, options...)...)
	server.RegisterService(&ordersDesc, s)
	return server, nil
}

// From here on: what protoc generates, but for the handlers. Unlisted has no rule,
// so that nobody may call it.
const ordersService = "/example.orders.v1.Orders/"

var ordersDesc = grpc.ServiceDesc{
	ServiceName: "example.orders.v1.Orders",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "List", Handler: unary("List", Service.list)},
		{MethodName: "Remove", Handler: unary("Remove", Service.list)},
		{MethodName: "Break", Handler: unary("Break", Service.breakUnary)},
		{MethodName: "Unlisted", Handler: unary("Unlisted", Service.list)},
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "ListStream", Handler: stream(Service.talk), ServerStreams: true, ClientStreams: true},
		{StreamName: "RemoveStream", Handler: stream(Service.talk), ServerStreams: true, ClientStreams: true},
		{StreamName: "BreakStream", Handler: stream(Service.breakStream), ServerStreams: true, ClientStreams: true},
		{StreamName: "UnlistedStream", Handler: stream(Service.talk), ServerStreams: true, ClientStreams: true},
		{StreamName: "Watch", Handler: stream(Service.watch), ServerStreams: true},
	},
}

func unary(name string, h func(Service, context.Context) (*wrapperspb.StringValue, error)) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := new(emptypb.Empty)
		if err := decode(in); err != nil {
			return nil, err
		}
		next := func(ctx context.Context, _ any) (any, error) { return h(srv.(Service), ctx) }
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: ordersService + name}, next)
	}
}

func stream(h func(Service, grpc.ServerStream) error) grpc.StreamHandler {
	return func(srv any, ss grpc.ServerStream) error { return h(srv.(Service), ss) }
}

func (s Service) list(ctx context.Context) (*wrapperspb.StringValue, error) {
	s.ran()
	claims, _ := jwtvalidate.FromContext(ctx)
	return wrapperspb.String("orders of " + claims.Subject()), nil
}

// talk says whose orders it has, and then everything that it hears.
func (s Service) talk(ss grpc.ServerStream) error {
	said, err := s.list(ss.Context())
	for err == nil {
		if err = ss.SendMsg(said); err == nil {
			said = new(wrapperspb.StringValue)
			err = ss.RecvMsg(said)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s Service) watch(ss grpc.ServerStream) error {
	s.ran()
	if err := ss.RecvMsg(new(emptypb.Empty)); err != nil {
		return err
	}
	for events := s.Events(); ; {
		select {
		case <-ss.Context().Done():
			return nil // the guard says why
		case event, more := <-events:
			if !more {
				return nil
			}
			if err := ss.SendMsg(wrapperspb.String(event)); err != nil {
				return err
			}
		}
	}
}

func (s Service) breakUnary(context.Context) (*wrapperspb.StringValue, error) {
	s.ran()
	panic("broken")
}

func (s Service) breakStream(grpc.ServerStream) error {
	s.ran()
	panic("broken")
}
