package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tampered is a server with half a simulated day, on a Redis that the test can
// change behind its back.
func tampered(t *testing.T) (*process, *miniredis.Miniredis) {
	t.Helper()
	redis := miniredis.RunT(t)
	server := startServer(t, t.TempDir(), "redis://"+redis.Addr())
	day, err := simulatedDay()
	require.NoError(t, err)
	code, _, stderr := tradetrail(day[0], "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()
	return server, redis
}

// prefixOf is what the keys of the generation of a view begin with that is read.
func prefixOf(redis *miniredis.Miniredis, view string) string {
	number, _, _ := strings.Cut(redis.HGet("tradetrail:{views}:active", view), ":")
	return "tradetrail:{" + view + ":" + number + "}:"
}

func TestRebuild_SaysWhatDiffered(t *testing.T) {
	server, redis := tampered(t)
	_, err := redis.RPush(prefixOf(redis, "users")+"n:\x1b[31mred", "made up")
	require.NoError(t, err)

	code, stdout, stderr := tradetrail("", "rebuild", "daily", "users", "--server", server.URL)
	assert.Equal(t, exitIntegrity, code, stderr)
	assert.Regexp(t, `(?m)^daily: generation \d+ at C:\d+/P:\d+ equals the one it replaced \(\d+ keys\)$`, stdout)
	assert.Regexp(t, `(?m)^users: generation \d+ at C:\d+/P:\d+ DIFFERS from the one it replaced in 1 of \d+ keys: "n:\\x1b\[31mred"$`, stdout)
	assert.Contains(t, stderr, "users: done, DIFFERED")
	assert.Contains(t, stderr, "tradetrail: users did not say what the log says; what the log says is in its place now")
	assert.NotContains(t, stdout+stderr, "\x1b")

	assertEqualsRebuild(t, server) // it has been put right
	code, stdout, stderr = tradetrail("", "projections", "--server", server.URL)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^users +\d+ +\d+ +C:\d+/P:\d+ +\d+ +0 +0s +0 +done$`, stdout)
	assert.Zero(t, server.stop(), server.output())
}

func TestRebuild_Refusals(t *testing.T) {
	server := startServer(t, t.TempDir(), "")
	for _, args := range [][]string{
		{"rebuild", "users", "nothing"}, {"rebuild", "--cancel", "nothing"}, {"projections", "parked", "nothing"}, {"projections", "replay", "nothing"},
	} {
		code, stdout, stderr := tradetrail("", append(args, "--server", server.URL)...)
		assert.Equal(t, exitError, code, args)
		assert.Contains(t, stderr, `no projection "nothing"; there are events, search,`, args)
		assert.Empty(t, stdout, args)
	}
	code, stdout, stderr := tradetrail("", "rebuild", "--cancel", "--server", server.URL)
	assert.Zero(t, code, stderr)
	assert.Equal(t, "nothing is being rebuilt\n", stdout)
	code, stdout, stderr = tradetrail("", "rebuild", "--cancel", "users", "--server", server.URL)
	assert.Zero(t, code, stderr)
	assert.Equal(t, "users: is not being rebuilt\n", stdout)
	code, stdout, stderr = tradetrail("", "projections", "replay", "--server", server.URL)
	assert.Zero(t, code, stderr)
	assert.Equal(t, "nothing is parked\n", stdout)
	// An empty log.
	code, stdout, stderr = tradetrail("", "rebuild", "--server", server.URL)
	assert.Zero(t, code, stderr)
	assert.Equal(t, len(allViews), strings.Count(stdout, "equals the one it replaced"), stdout)
}

// states are the rebuilds that the server knows.
func (p *process) states() map[string]string {
	p.t.Helper()
	var answer struct {
		Rebuilds []struct{ Projection, State string }
	}
	p.query(&answer, `{ rebuilds { projection state } }`, nil)
	states := make(map[string]string)
	for _, r := range answer.Rebuilds {
		states[r.Projection] = r.State
	}
	return states
}

func (p *process) waitStates(want map[string]string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return assert.ObjectsAreEqual(want, p.states()) }, time.Minute, 10*time.Millisecond)
}

func TestRebuild_Detached(t *testing.T) {
	server, _ := tampered(t)
	code, stdout, stderr := tradetrail("", "rebuild", "--rate", "1", "--detach", "users", "orders", "--server", server.URL)
	assert.Zero(t, code, stderr)
	assert.Equal(t, "users: queued\norders: queued\n", stdout)
	code, _, stderr = tradetrail("", "rebuild", "orders", "--server", server.URL)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "orders is being rebuilt already")
	code, stdout, stderr = tradetrail("", "projections", "--format", "json", "--server", server.URL)
	require.Zero(t, code, stderr)
	var all []projectionAnswer
	require.NoError(t, json.Unmarshal([]byte(stdout), &all))
	require.Len(t, all, len(allViews))
	for i, view := range all {
		assert.Equal(t, allViews[i], view.Name)
		if view.Name == "users" {
			assert.Equal(t, 1, view.Rebuild.Rate)
		}
	}
	code, stdout, stderr = tradetrail("", "rebuild", "--cancel", "--server", server.URL)
	assert.Zero(t, code, stderr)
	assert.ElementsMatch(t, []string{"users: cancelled", "orders: cancelled"}, strings.Split(strings.TrimSpace(stdout), "\n"))
	server.waitStates(map[string]string{"users": "CANCELLED", "orders": "CANCELLED"})
	assert.Zero(t, server.stop(), server.output())
}

// Ctrl-C gives the rebuilds up, and nothing has changed.
func TestRebuild_Interrupted(t *testing.T) {
	server, _ := tampered(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "rebuild", "--rate", "1", "users", "orders", "--server", server.URL)
	cmd.Env = append(os.Environ(), "TRADETRAIL_TEST_MAIN=1")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "users: building") {
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	var last string
	for lines.Scan() {
		last = lines.Text()
	}
	require.Error(t, cmd.Wait())
	assert.Equal(t, exitError, cmd.ProcessState.ExitCode(), last)
	assert.Equal(t, "users: cancelled; the old one stays\norders: cancelled; the old one stays\n", stdout.String())
	server.waitStates(map[string]string{"users": "CANCELLED", "orders": "CANCELLED"})
	assertEqualsRebuild(t, server)
	assert.Zero(t, server.stop(), server.output())
}

// An event that a view can't take in is parked with all that waits behind it, and
// taken in later.
func TestProjections_ParkAndReplay(t *testing.T) {
	redis, dir := miniredis.RunT(t), t.TempDir()
	server := startServer(t, dir, "redis://"+redis.Addr())
	day, err := simulatedDay()
	require.NoError(t, err)
	code, _, stderr := tradetrail(day[0], "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()
	// Who has made a view from the beginning knows which rows there are; the next
	// process reads them.
	assert.Zero(t, server.stop(), server.output())
	server = startServer(t, dir, "redis://"+redis.Addr())
	server.caughtUp()
	orders := prefixOf(redis, "orders")
	for bucket := range 64 { // one of these is where the order's state would be
		redis.HSet(orders+"o:"+strconv.FormatInt(int64(bucket), 16), "ord-x", "damaged")
	}
	var events strings.Builder
	for i, kind := range []string{"order.submitted", "order.filled"} {
		fmt.Fprintf(&events, `{"event_id":"x%d","event_type":%q,"occurred_at":"2026-03-02T14:30:00Z","order_id":"ord-x"}`+"\n", i, kind)
	}
	code, _, stderr = tradetrail(events.String(), "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()

	code, stdout, stderr := tradetrail("", "projections", "parked", "--server", server.URL)
	require.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^orders +C:\d+/P:\d+ +order-ord-x +0 +order\.submitted +\S`, stdout)
	assert.Regexp(t, `(?m)^orders +C:\d+/P:\d+ +order-ord-x +1 +order\.filled +held back behind the event at C:\d+/P:\d+$`, stdout)
	code, stdout, stderr = tradetrail("", "projections", "parked", "users", "orders", "--format", "json", "--server", server.URL)
	require.Zero(t, code, stderr)
	var parked []parkedAnswer
	require.NoError(t, json.Unmarshal([]byte(stdout), &parked))
	require.Len(t, parked, 2)
	assert.Equal(t, "x1", *parked[1].EventID)
	code, stdout, _ = tradetrail("", "projections", "--server", server.URL)
	require.Zero(t, code)
	assert.Regexp(t, `(?m)^orders +.* 2 +-$`, stdout)

	code, stdout, stderr = tradetrail("", "projections", "replay", "users", "--server", server.URL)
	assert.Zero(t, code, stderr)
	assert.Equal(t, "nothing is parked\n", stdout)
	code, stdout, stderr = tradetrail("", "projections", "replay", "--server", server.URL)
	assert.Zero(t, code, stderr)
	assert.Regexp(t, `^orders: generation \d+ at C:\d+/P:\d+\nnothing is parked\n$`, stdout)
	var answer struct{ Order struct{ Status string } }
	server.query(&answer, `{ order(id: "ord-x") { status } }`, nil)
	assert.Equal(t, "FILLED", answer.Order.Status)
	assertEqualsRebuild(t, server)
	assert.Zero(t, server.stop(), server.output())
}

func TestServe_Keep(t *testing.T) {
	server := startServer(t, t.TempDir(), "", "--keep", "2w")
	assert.Zero(t, server.stop(), server.output())
	_, help, _ := tradetrail("", "serve", "--help")
	assert.Regexp(t, `--keep duration +how long event bodies stay in Redis`, help)
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	var out bytes.Buffer
	require.NoError(t, judgeRebuilds(&out, []rebuilding{{Projection: "a", State: "DONE", Equal: &yes, Generation: 3, Keys: 2}}, nil))
	err := judgeRebuilds(&out, []rebuilding{
		{Projection: "a", State: "DONE", Equal: &no, Generation: 3, Position: "C:1/P:1", Keys: 20, Differing: 9, Different: []string{"x", "y"}},
		{Projection: "b", State: "FAILED", Error: "the fold\nis wrong"},
		{Projection: "c", State: "CANCELLED"},
		{Projection: "d", State: "QUEUED"},
	}, nil)
	require.ErrorContains(t, err, "a did not say what the log says; what the log says is in its place now: not everything was rebuilt")
	require.ErrorContains(t, judgeRebuilds(&out, []rebuilding{{Projection: "c", State: "CANCELLED"}}, nil), "not everything was rebuilt")
	assert.Equal(t, `a: generation 3 equals the one it replaced (2 keys)
a: generation 3 at C:1/P:1 DIFFERS from the one it replaced in 9 of 20 keys: x, y, ...
b: failed, the old one stays: "the fold\nis wrong"
c: cancelled; the old one stays
d: queued
c: cancelled; the old one stays
`, out.String())
}

func TestProgress(t *testing.T) {
	t.Parallel()
	no := false
	steps := [][]rebuilding{
		{{Projection: "a", State: "QUEUED"}, {Projection: "b", State: "QUEUED"}},
		{{Projection: "a", State: "BUILDING", Events: 10, Total: 40, PerSecond: 5.4, Rate: 6, Left: "PT6.2S"}, {Projection: "b", State: "QUEUED"}},
		{{Projection: "a", State: "BUILDING", Events: 20, Total: 40, PerSecond: 5.4, Rate: 6, Left: "PT4S"}, {Projection: "b", State: "CANCELLING"}},
		{{Projection: "a", State: "COMPARING", Events: 45, Total: 40}, {Projection: "b", State: "CANCELLED"}},
		{{Projection: "a", State: "DONE", Equal: &no, Events: 45, Total: 40}, {Projection: "b", State: "CANCELLED"}},
	}
	var plain, drawn bytes.Buffer
	lines := newProgress(&plain)
	bar := &progress{out: &drawn, bar: newRebuildBar(&drawn, 0)}
	for _, all := range steps {
		lines.update(all)
		bar.update(all)
	}
	lines.end()
	bar.end()
	assert.Equal(t, `a: queued
b: queued
a: building, 10 of 40 events, 5/s (at most 6/s), 6s left
b: cancelling
a: comparing, 45 of 40 events
b: cancelled
a: done, DIFFERED
`, plain.String())
	assert.Contains(t, drawn.String(), "rebuilding 1 queued 1 building 5/s 6s left")
	assert.True(t, strings.HasSuffix(drawn.String(), "\n"))
}
