package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tradetrail/tradetrail/client"
	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/agent"
	"github.com/tradetrail/tradetrail/internal/obs"
)

// lastDelivery is how long a stopping agent goes on delivering; the rest stays in
// the spool.
const lastDelivery = 5 * time.Second

func newAgent(e env) *cobra.Command {
	cfg := client.Config{Sync: client.SyncInterval, Full: client.FullHalt}
	var listen, socket, level, headers string
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Take events on this machine, spool them, and forward them to a server",
		Long: "Takes events like the server does (POST /v1/events), for systems in any language, on loopback and on a\n" +
			"unix socket. Answers 202 when they are in the spool, and forwards them for as long as it takes.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			parsed, err := obs.ParseLevel(level)
			if err != nil {
				return usageError{err}
			}
			cfg.Log = obs.NewLogger(e.stderr, parsed)
			if cfg.Header, err = readHeaders(headers); err != nil {
				return usageError{err}
			}
			return runAgent(cmd.Context(), cfg, listen, socket)
		},
	}
	serverFlag(cmd, e, &cfg.Server)
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:8081", "loopback address for events; port 0 takes a free one, empty none")
	flags.StringVar(&socket, "socket", "", "path of a unix socket for events, for this user alone")
	flags.StringVar(&cfg.Dir, "spool", "spool", "directory of the spool")
	flags.StringVar(&cfg.Name, "name", "agent", "name under which events are sent, in their source")
	flags.StringVar((*string)(&cfg.Sync), "sync", string(cfg.Sync), "when events are on disk: interval, never, each (before they are answered)")
	flags.StringVar((*string)(&cfg.Full), "full", string(cfg.Full), "what happens without room: halt (503 at once), block (503 after 30 s)")
	flags.Int64Var(&cfg.MaxBytes, "max-bytes", 0, "bound on the spool's files; 0: 1 GiB")
	flags.DurationVar(&cfg.MaxAge, "max-age", 0, "the spool is full when its oldest event has waited for longer; 0: however long")
	flags.StringVar(&headers, "header-file", "", "file of headers for the server, one a line, such as \"Authorization: Bearer TOKEN\"")
	flags.StringVar((*string)(&cfg.Compression), "compression", "auto", "of what is sent: auto, none, gzip, zstd")
	flags.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return cmd
}

// readHeaders reads headers from a file; none if path is empty. The errors don't
// quote it: it may have secrets.
func readHeaders(path string) (http.Header, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "header-file", "%v", err)
	}
	lines := io.MultiReader(bytes.NewReader(bytes.TrimSpace(raw)), strings.NewReader("\n\n"))
	header, err := textproto.NewReader(bufio.NewReader(lines)).ReadMIMEHeader()
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "header-file", "%s is not lines of NAME: VALUE", path)
	}
	return http.Header(header), nil
}

func runAgent(ctx context.Context, cfg client.Config, listen, socket string) (err error) {
	if listen == "" && socket == "" {
		return usageError{domain.Rejectf(domain.CodeMissing, "listen", "neither --listen nor --socket")}
	}
	if cfg.Full == client.FullDrop {
		return usageError{domain.Rejectf(domain.CodeInvalid, "full", "drop would answer for events that are not kept: halt or block")}
	}
	listeners, err := agent.Listen(ctx, listen, socket)
	if domain.ClassOf(err) == domain.ClassRejected {
		return usageError{err}
	} else if err != nil {
		return err
	}
	recorder, err := client.Open(ctx, cfg)
	if err != nil {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}
		if domain.ClassOf(err) == domain.ClassRejected {
			return usageError{err}
		}
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastDelivery)
		defer cancel()
		err = errors.Join(err, recorder.Close(last))
	}()
	handler, err := agent.New(recorder, cfg.Sync, cfg.Name, time.Now, cfg.Log).Handler()
	if err != nil {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}
		return err
	}
	for _, l := range listeners {
		cfg.Log.InfoContext(ctx, "taking events", slog.String("address", l.Addr().String()))
	}
	return agent.Serve(ctx, handler, listeners, cfg.Log)
}
