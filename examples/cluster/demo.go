package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"text/tabwriter"
	"time"
)

const (
	service  = "https://api.example.com"
	nodes    = 3
	soon     = time.Second
	patience = 15 * time.Second
)

// cluster is what the demonstration has started.
type cluster struct {
	issuer    *issuer
	redis     *process
	redisPort string
	dir       string
	env       []string
	nodes     [nodes]*process
	bases     [nodes]string
	table     *tabwriter.Writer
	surprises int
}

// demo walks through the life of two tokens in a cluster. Its error says what was not
// as it should be.
func demo(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c := &cluster{table: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	defer c.stop()
	if err := c.start(ctx); err != nil {
		return err
	}
	fmt.Fprintln(c.table, "STEP\tNODE 1\tNODE 2\tNODE 3\tTOOK\tAS EXPECTED")
	err := c.walk(ctx)
	_ = c.table.Flush()
	if err == nil && c.surprises > 0 {
		err = fmt.Errorf("%d steps were not as expected", c.surprises)
	}
	if err == nil {
		fmt.Fprintln(out, "\nthree processes agreed, and an emptied Redis made none of them forget")
	}
	return err
}

func (c *cluster) start(ctx context.Context) (err error) {
	if c.dir, err = os.MkdirTemp("", "cluster-"); err != nil {
		return err
	}
	if c.redisPort, err = freePort(); err != nil {
		return err
	}
	if c.redis, err = startRedis(ctx, c.dir, c.redisPort); err != nil {
		return err
	}
	if c.issuer, err = newIssuer(service); err != nil {
		return err
	}
	c.env = []string{
		"REVOCATION_SECRET=" + base64.StdEncoding.EncodeToString([]byte("a secret of the demonstration only")),
		"ADMIN_TOKEN=demo",
	}
	for i := range c.nodes {
		if err := c.startNode(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// startNode starts a node, at the address that it had before.
func (c *cluster) startNode(ctx context.Context, i int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if c.bases[i] == "" {
		port, err := freePort()
		if err != nil {
			return err
		}
		c.bases[i] = "http://127.0.0.1:" + port
	}
	c.nodes[i], err = start(ctx, c.env, self, "-listen", c.bases[i][len("http://"):], "-issuer", c.issuer.server.URL,
		"-audience", service, "-redis", "127.0.0.1:"+c.redisPort, "-insecure-http")
	if err != nil {
		return err
	}
	return within(ctx, patience, fmt.Sprintf("node %d is ready", i+1), func() bool { return ready(ctx, c.bases[i]) })
}

func (c *cluster) stop() {
	for _, p := range append(c.nodes[:], c.redis) {
		p.kill()
	}
	if c.issuer != nil {
		c.issuer.server.Close()
	}
	_ = os.RemoveAll(c.dir)
}

func (c *cluster) walk(ctx context.Context) error {
	ann, err := c.issuer.Sign(ctx, map[string]any{"sub": "ann"})
	if err != nil {
		return err
	}
	ben, err := c.issuer.Sign(ctx, map[string]any{"sub": "ben"})
	if err != nil {
		return err
	}
	c.expect(ctx, "a token passes on all nodes", ann, http.StatusOK, patience)
	c.expect(ctx, "so does another", ben, http.StatusOK, patience)
	if err := c.revoke(ctx, 0, "ann"); err != nil {
		return err
	}
	c.expect(ctx, "revoked on node 1: refused on all", ann, http.StatusUnauthorized, soon)
	c.expect(ctx, "the other passes", ben, http.StatusOK, soon)

	c.redis.kill()
	c.note("Redis is killed (kill -9)")
	c.expect(ctx, "no Redis: still refused on all", ann, http.StatusUnauthorized, soon)
	c.expect(ctx, "no Redis: the other still passes", ben, http.StatusOK, soon)
	if c.redis, err = startRedis(ctx, c.dir, c.redisPort); err != nil {
		return err
	}
	c.note("Redis is back, and empty")
	c.expect(ctx, "an empty Redis: still refused on all", ann, http.StatusUnauthorized, soon)
	if err := within(ctx, patience, "the nodes give back what Redis has lost", func() bool { return c.known(ctx) }); err != nil {
		return err
	}
	c.nodes[2].kill()
	if err := c.startNode(ctx, 2); err != nil {
		return err
	}
	c.note("node 3 is killed and starts with no memory")
	c.expect(ctx, "the new node: still refused on all", ann, http.StatusUnauthorized, soon)
	c.expect(ctx, "the other passes", ben, http.StatusOK, soon)
	if err := c.revoke(ctx, 2, "ben"); err != nil {
		return err
	}
	c.expect(ctx, "revoked on node 3: refused on all", ben, http.StatusUnauthorized, soon)
	return nil
}

// revoke has a user's tokens refused by one node.
func (c *cluster) revoke(ctx context.Context, at int, user string) error {
	body, err := json.Marshal(map[string]string{"kind": "subject", "issuer": c.issuer.server.URL, "value": user, "reason": "demonstration"})
	if err != nil {
		return err
	}
	if status, text := ask(ctx, http.MethodPost, c.bases[at]+"/v1/revocations", "demo", string(body)); status != http.StatusCreated {
		return fmt.Errorf("node %d has not stored it: %d %s", at+1, status, text)
	}
	return nil
}

// known reports whether the Redis of this moment has a record again.
func (c *cluster) known(ctx context.Context) bool {
	n, err := entries(ctx, c.redisPort)
	return err == nil && n > 0
}

// expect asks all nodes until they answer as they should, or the time is over.
func (c *cluster) expect(ctx context.Context, step, token string, want int, limit time.Duration) {
	var got [nodes]int
	begun := time.Now()
	err := within(ctx, limit, step, func() bool {
		fine := true
		for i, base := range c.bases {
			got[i], _ = ask(ctx, http.MethodGet, base+"/orders", token, "")
			fine = fine && got[i] == want
		}
		return fine
	})
	verdict := "yes"
	if err != nil {
		verdict = fmt.Sprintf("NO: want %d", want)
		c.surprises++
	}
	fmt.Fprintf(c.table, "%s\t%d\t%d\t%d\t%d ms\t%s\n", step, got[0], got[1], got[2], time.Since(begun).Milliseconds(), verdict)
}

func (c *cluster) note(text string) { fmt.Fprintf(c.table, "— %s\t\t\t\t\t\n", text) }
