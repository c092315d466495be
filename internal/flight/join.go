package flight

import "context"

// Join waits for the running call without starting one, or returns the failure
// that is remembered; false if there is neither. It is for callers who may not
// cause a call but gain from one.
func (c *Call[T]) Join(ctx context.Context) (val T, joined bool, err error) {
	s := c.state.Load()
	switch now := c.now(); {
	case s == nil:
		return val, false, nil
	case s.open():
		val, err = s.running.wait(ctx)
		return val, true, err
	case s.forbids(now):
		return val, true, s.refusal(now)
	}
	return val, false, nil
}
