package main

import (
	"errors"
	"io"
	"net/url"

	"github.com/spf13/cobra"
)

// proveFlags are what a proof can be of.
type proveFlags struct {
	event, stream, position, order, report, from, to string
	checkpoint                                       string // its text
	redact                                           bool
}

// path is what stands behind /audit/proof/, with its parameters.
func (f proveFlags) path() (path string, query url.Values, err error) {
	query = url.Values{}
	if f.redact {
		query.Set("redact", "true")
	}
	if f.checkpoint != "" {
		query.Set("checkpoint", f.checkpoint)
	}
	window := f.from != "" || f.to != ""
	named := 0
	for _, id := range []string{f.event, f.order, f.report} {
		if id != "" {
			named++
		}
	}
	if f.stream != "" {
		query.Set("stream", f.stream)
	}
	if f.position != "" {
		query.Set("position", f.position)
	}
	switch {
	case f.position != "" && (f.event == "" || f.stream != ""):
		return "", nil, errors.New("--position says where the event of --event is, and takes the place of --stream")
	case f.stream != "" && f.event == "":
		return "", nil, errors.New("--stream says where the event of --event is")
	case f.report != "" && (f.redact || f.checkpoint != ""):
		return "", nil, errors.New("the proof of a report is made with it: nothing in it can be redacted, and it continues no checkpoint of your choice")
	case f.event != "" && named == 1 && !window:
		return "event/" + url.PathEscape(f.event), query, nil
	case f.order != "" && named == 1 && !window:
		return "order/" + url.PathEscape(f.order), query, nil
	case f.report != "" && named == 1 && !window:
		return "report/" + url.PathEscape(f.report), query, nil
	case f.from != "" && f.to != "" && named == 0:
		query.Set("from", f.from)
		query.Set("to", f.to)
		return "window", query, nil
	default:
		return "", nil, errors.New("one of --event, --order, --report, and --from with --to must be given")
	}
}

func newProve(e env) *cobra.Command {
	var from asked
	var flags proveFlags
	var output, kept string
	cmd := &cobra.Command{
		Use:   "prove",
		Short: "Write a proof that others can verify",
		Long: "Writes a proof bundle of an event, of an order's chain, or of all events between two times of\n" +
			"recording: what was recorded, and that the transparency log has it. Whoever has the log's public\n" +
			"key verifies it with tradetrail-verify, without a server. When no server answers it is made from\n" +
			"the event store and the log in --data-dir. A report as a PDF carries its proof; --report writes\n" +
			"that alone, as long as the server keeps the report.",
		Example: `  tradetrail prove --order ord-1 --output ord-1.json
  tradetrail prove --event 0197b0a4-8a2e-7c3e-9d43-5f6f3f0e2a11 --redact
  tradetrail prove --from 2026-03-02 --to 2026-03-03 --output day.json
  tradetrail prove --order ord-1 --checkpoint kept.txt --output ord-1.json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if kept != "" {
				if flags.checkpoint, err = checkpointIn(kept); err != nil {
					return err
				}
			}
			path, query, err := flags.path()
			if err != nil {
				return usageError{err}
			}
			client, err := from.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			return writeTo(output, e.stdout, func(w io.Writer) error { return client.Proof(cmd.Context(), path, query, w) })
		},
	}
	cmd.Flags().StringVar(&flags.event, "event", "", "the event of this event_id")
	cmd.Flags().StringVar(&flags.stream, "stream", "", "the stream of that event, such as order-ord_501: the whole log is searched otherwise")
	cmd.Flags().StringVar(&flags.position, "position", "", "the position of that event, such as C:120/P:120, instead of its stream")
	cmd.Flags().StringVar(&flags.order, "order", "", "the chain of this order")
	cmd.Flags().StringVar(&flags.report, "report", "", "the events of the report that tradetrail report has made under this id")
	cmd.Flags().StringVar(&flags.from, "from", "", "the beginning of the window: 2026-03-02T14:30:00Z, or a date")
	cmd.Flags().StringVar(&flags.to, "to", "", "the end of the window, which is not in it")
	cmd.Flags().BoolVar(&flags.redact, "redact", false, "leave out what the events say, and show their salted digests")
	cmd.Flags().StringVar(&kept, "checkpoint", "", "file of a checkpoint kept from earlier: the bundle shows that the log continues it")
	cmd.Flags().StringVar(&output, "output", "", "file to write to; it is there only when all is in it")
	from.flags(cmd, e)
	return cmd
}
