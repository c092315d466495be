package jwtvalidate

import (
	"context"
	"errors"
	"fmt"
)

// The values of Config.Onward.
const (
	onwardForward = "forward"
	onwardStrip   = "strip"
)

// onward says what of the token the handlers behind see.
type onward struct {
	mode    string
	replace func(ctx context.Context, c *Claims) (string, error)
}

// leaves reports whether a token in a header stays as it came.
func (o *onward) leaves() bool { return o.mode == "" && o.replace == nil }

// sets reports whether a token goes on in Authorization.
func (o *onward) sets() bool { return o.mode == onwardForward || o.replace != nil }

// token is what goes on as Authorization: Bearer; empty: nothing is set.
func (o *onward) token(ctx context.Context, presented string, c *Claims) (string, error) {
	if o.replace == nil {
		if o.mode == onwardForward {
			return presented, nil
		}
		return "", nil
	}
	token, err := o.replace(ctx, c)
	if err == nil && !isToken68(token) {
		err = errors.New("it gave no token")
	}
	if err != nil {
		return "", fmt.Errorf("%w: OnwardToken: %w", ErrUnavailable, err)
	}
	return token, nil
}
