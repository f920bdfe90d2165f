package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The usual clients of frontends follow an account over a stop and a crash of the
// server: they come back by themselves and get every event once.
func TestNodeClients_ComeBackWithoutGapOrDuplicate(t *testing.T) {
	for _, client := range []string{"graphql-ws", "graphql-sse"} {
		t.Run(client, func(t *testing.T) {
			node := nodeWith(t, client)
			dataDir := t.TempDir()
			server := startServer(t, dataDir, "")
			address := strings.TrimPrefix(server.URL, "http://")

			cmd := exec.CommandContext(t.Context(), node, "client.mjs", client, server.URL, "A")
			cmd.Dir = nodeClients
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			cmd.Stderr = cmd.Stdout
			require.NoError(t, cmd.Start())
			lines := make(chan string, 1000)
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer close(lines)
				for text := bufio.NewScanner(stdout); text.Scan(); {
					lines <- text.Text()
				}
			}()
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-done
				_ = cmd.Wait()
			})
			line := func() string {
				select {
				case text, ok := <-lines:
					require.True(t, ok, "the client ended")
					return text
				case <-time.After(time.Minute):
					require.FailNow(t, "nothing comes")
					return ""
				}
			}
			codes := map[string]bool{} // how connections were closed
			refused := 0
			expect := func(from, to int) {
				for n := from; n < to; {
					word, rest, _ := strings.Cut(line(), " ")
					switch word {
					default:
						t.Log(word, rest)
					case "event":
						require.Equal(t, fmt.Sprintf("A-%d", n), rest)
						n++
					case "closed":
						codes[rest] = true
					case "refused":
						assert.Equal(t, "GRAPHQL_VALIDATION_FAILED", rest)
						refused++
					}
				}
			}
			record := func(from, to int) {
				for n := from; n < to; n++ {
					response, err := http.Post(server.URL+"/v1/events", "application/json", strings.NewReader(fmt.Sprintf(
						`{"event_id":"A-%d","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o","account_id":"A"}`, n)))
					require.NoError(t, err)
					require.NoError(t, response.Body.Close())
					require.Equal(t, http.StatusOK, response.StatusCode)
				}
			}
			record(0, 10)
			expect(0, 10)
			require.Zero(t, server.stop(), server.output())
			server = startServer(t, dataDir, "", "--listen", address)
			record(10, 20)
			expect(10, 20)
			server.kill()
			server = startServer(t, dataDir, "", "--listen", address)
			record(20, 30)
			expect(20, 30)
			if client == "graphql-ws" {
				assert.True(t, codes["1012"], "the stop was not told: %v", codes)
				assert.True(t, codes["1006"], "%v", codes)
			}
			assert.Positive(t, refused)
			assert.Zero(t, server.stop(), server.output())
		})
	}
}

const nodeClients = "../../graph/nodeclients"

// nodeWith is the path of Node, if the client is installed too.
func nodeWith(t *testing.T, client string) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("TRADETRAIL_REQUIRE") == "1" {
		missing = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("the Node clients of subscriptions are not tested: no program `node` on the PATH")
	}
	if _, err := os.Stat(filepath.Join(nodeClients, "node_modules", client, "package.json")); err != nil {
		missing("the Node clients of subscriptions are not tested: %v; run `make node-client`", err)
	}
	return node
}
