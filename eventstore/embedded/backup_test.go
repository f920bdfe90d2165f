package embedded_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

func backUp(t *testing.T, node *embedded.Node) (embedded.Backup, []byte) {
	t.Helper()
	var out bytes.Buffer
	b, err := node.Backup(t.Context(), &out)
	require.NoError(t, err)
	checked, err := embedded.CheckBackup(t.Context(), bytes.NewReader(out.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, b, checked)
	return b, out.Bytes()
}

// content is what a log says, without the files that say it.
func content(t *testing.T, node *embedded.Node) []string {
	t.Helper()
	var all []string
	for _, e := range readAll(t, connect(t, node)) {
		r := e.Event
		all = append(all, fmt.Sprint(r.Position.Commit, r.StreamID, r.EventNumber, r.EventID, r.EventType, r.CreatedDate, len(r.Data)))
	}
	return all
}

func TestBackup_IsAPrefixWithAllThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for name, fs := range map[string]vfs.FS{"disk": vfs.Default, "memory": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := shortDir(t)
			node := open(t, filepath.Join(root, "a"), embedded.Options{FS: fs}.WithMemTable(128<<10))
			var acked atomic.Uint64 // the highest position
			done := make(chan struct{})
			enough := make(chan struct{}, 4)
			var writers sync.WaitGroup
			for range 4 {
				client := connect(t, node)
				writers.Go(func() {
					stream := "order-" + uuid.NewString()
					for i := 0; ; i++ {
						select {
						case <-done:
							return
						default:
						}
						e := event()
						e.Data = fmt.Appendf(nil, `"%s"`, strings.Repeat("x", rand.IntN(4000)))
						result, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, e)
						if err != nil {
							t.Error(err)
							return
						}
						for old := acked.Load(); old < result.CommitPosition && !acked.CompareAndSwap(old, result.CommitPosition); old = acked.Load() {
						}
						if i == 50 {
							enough <- struct{}{}
						}
					}
				})
			}
			<-enough
			type made struct {
				embedded.Backup
				acked uint64
				tar   []byte
			}
			var backups []made
			for range 3 {
				before := acked.Load()
				b, text := backUp(t, node)
				require.GreaterOrEqual(t, b.Position, before)
				backups = append(backups, made{b, before, text})
			}
			close(done)
			writers.Wait()
			require.NoError(t, node.Err())
			whole := content(t, node)
			_, err := fs.Stat(filepath.Join(root, "a", "backup"))
			require.ErrorIs(t, err, os.ErrNotExist)

			for i, b := range backups {
				dir := filepath.Join(root, fmt.Sprint("restored", i), "events")
				restored, err := embedded.RestoreFS(t.Context(), bytes.NewReader(b.tar), dir, fs)
				require.NoError(t, err)
				assert.Equal(t, b.Backup, restored)
				_, err = fs.Stat(dir + ".restoring")
				require.ErrorIs(t, err, os.ErrNotExist)

				again := open(t, dir, embedded.Options{FS: fs})
				got := content(t, again)
				require.Len(t, got, int(b.Events))
				require.Equal(t, whole[:len(got)], got)
				second, _ := backUp(t, again)
				assert.Equal(t, b.Events, second.Events)
				assert.Equal(t, b.Position, second.Position)
				assert.Equal(t, b.Created, second.Created)
				_, err = connect(t, again).AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, event())
				require.NoError(t, err)
				require.NoError(t, again.Close())
			}
		})
	}
}

func TestBackup_OfNothing(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	b, text := backUp(t, open(t, "a", embedded.Options{FS: fs}))
	assert.Zero(t, b.Events)
	assert.Zero(t, b.Position)
	assert.True(t, b.Created.IsZero())
	_, err := embedded.RestoreFS(t.Context(), bytes.NewReader(text), "b", fs)
	require.NoError(t, err)
	assert.Empty(t, content(t, open(t, "b", embedded.Options{FS: fs})))
}

// TestBackup_KnowsEveryKindOfRecord: tombstones and metadata are as good as events.
func TestBackup_KnowsEveryKindOfRecord(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	node := open(t, "a", embedded.Options{FS: fs})
	client := connect(t, node)
	for i := range 4 {
		_, err := client.AppendToStream(t.Context(), fmt.Sprint("order-", i), esdb.AppendToStreamOptions{}, event(), event())
		require.NoError(t, err)
	}
	_, err := client.TombstoneStream(t.Context(), "order-1", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	_, err = client.TombstoneStream(t.Context(), "never-there", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.NoStream{}})
	require.NoError(t, err)
	_, err = client.DeleteStream(t.Context(), "order-2", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	require.NoError(t, err)
	_, err = client.AppendToStream(t.Context(), "order-2", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event())
	require.NoError(t, err)
	_, text := backUp(t, node)
	_, err = embedded.RestoreFS(t.Context(), bytes.NewReader(text), "b", fs)
	require.NoError(t, err)
	assert.Equal(t, content(t, node), content(t, open(t, "b", embedded.Options{FS: fs})))
}

// small is a backup of a store with n events.
func small(t *testing.T, n int) []byte {
	t.Helper()
	node := open(t, "small", embedded.Options{FS: vfs.NewMem()})
	record(t, node, &history{stream: "order-1"}, n)
	_, text := backUp(t, node)
	return text
}

// requireRefused: an error, and nothing at the target or beside it.
func requireRefused(t *testing.T, backup []byte, want string, hint ...any) {
	t.Helper()
	fs := vfs.NewMem()
	_, err := embedded.RestoreFS(t.Context(), bytes.NewReader(backup), filepath.Join("new", "events"), fs)
	require.ErrorContains(t, err, want, hint...)
	var integrity *embedded.IntegrityError
	require.Equal(t, !strings.Contains(err.Error(), "this program reads version"), errors.As(err, &integrity), hint...)
	names, listErr := fs.List("")
	require.NoError(t, listErr)
	require.Empty(t, names, hint...)
	_, checkErr := embedded.CheckBackup(t.Context(), bytes.NewReader(backup))
	require.ErrorContains(t, checkErr, want, hint...)
}

func TestRestore_RecognisesATruncatedCopy(t *testing.T) {
	t.Parallel()
	whole := small(t, 3)
	for n := range len(whole) {
		if n < 3000 || n > len(whole)-4000 || n%509 == 0 {
			requireRefused(t, whole[:n], "", "%d of %d bytes", n, len(whole))
		}
	}
	requireRefused(t, append(bytes.Clone(whole), 0), "something comes after its end")
	requireRefused(t, append(bytes.Clone(whole), whole...), "something comes after its end")
}

// TestRestore_RecognisesFlippedBits: either the copy is refused, or the flip hit
// what says nothing: the padding between files.
func TestRestore_RecognisesFlippedBits(t *testing.T) {
	t.Parallel()
	whole := small(t, 3)
	refused := 0
	for range 300 {
		damaged := bytes.Clone(whole)
		at := rand.IntN(len(damaged))
		damaged[at] ^= 1 << rand.IntN(8)
		_, err := embedded.CheckBackup(t.Context(), bytes.NewReader(damaged))
		if err != nil {
			refused++
			requireRefused(t, damaged, "", "bit flipped at %d", at)
			continue
		}
		require.True(t, bytes.Equal(whole, pack(t, unpack(t, damaged))), "bit flipped at %d", at)
	}
	t.Logf("%d of 300 flips refused", refused)
	assert.Positive(t, refused)
}

type tarFile struct {
	tar.Header

	text []byte
}

// unpack gives the files of a backup.
func unpack(t *testing.T, backup []byte) (all []tarFile) {
	t.Helper()
	in := tar.NewReader(bytes.NewReader(backup))
	for {
		h, err := in.Next()
		if err == io.EOF { //nolint:errorlint // tar's own
			return all
		}
		require.NoError(t, err)
		text, err := io.ReadAll(in)
		require.NoError(t, err)
		all = append(all, tarFile{tar.Header{Name: h.Name, Size: h.Size, Typeflag: h.Typeflag, Mode: h.Mode}, text})
	}
}

func pack(t *testing.T, all []tarFile) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range all {
		require.NoError(t, w.WriteHeader(&f.Header))
		_, err := w.Write(f.text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestRestore_RefusesWhatIsNoBackup(t *testing.T) {
	t.Parallel()
	whole := small(t, 3)
	require.True(t, bytes.Equal(whole, pack(t, unpack(t, whole))))
	file := func(name string) tarFile {
		return tarFile{tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1, Mode: 0o600}, []byte("x")}
	}
	special := func(name string, kind byte) tarFile {
		return tarFile{Header: tar.Header{Name: name, Typeflag: kind, Linkname: "/etc/passwd"}}
	}
	insert := func(f tarFile) func([]tarFile) []tarFile {
		return func(all []tarFile) []tarFile { return append(all[:2:2], append([]tarFile{f}, all[2:]...)...) }
	}
	manifest := func(change func(m map[string]any)) func([]tarFile) []tarFile {
		return func(all []tarFile) []tarFile {
			m := make(map[string]any)
			require.NoError(t, json.Unmarshal(all[0].text, &m))
			change(m)
			text, err := json.Marshal(m)
			require.NoError(t, err)
			all[0].text, all[0].Size = text, int64(len(text))
			return all
		}
	}
	for name, tc := range map[string]struct {
		change func([]tarFile) []tarFile
		want   string
	}{
		"an absolute path":  {insert(file("/store/000099.sst")), "does not belong there"},
		"a path upwards":    {insert(file("store/../000099.sst")), "does not belong there"},
		"a path outside":    {insert(file("../000099.sst")), "does not belong there"},
		"a folder below":    {insert(file("store/store/000099.sst")), "does not belong there"},
		"an unknown file":   {insert(file("store/hello")), "does not belong there"},
		"a lock":            {insert(file("store/LOCK")), "does not belong there"},
		"a symbolic link":   {insert(special("store/000099.sst", tar.TypeSymlink)), "is not a plain file"},
		"a hard link":       {insert(special("store/000099.sst", tar.TypeLink)), "is not a plain file"},
		"a device":          {insert(special("store/000099.sst", tar.TypeBlock)), "is not a plain file"},
		"a pipe":            {insert(special("store/000099.sst", tar.TypeFifo)), "is not a plain file"},
		"a folder":          {insert(tarFile{Header: tar.Header{Name: "store/x/", Typeflag: tar.TypeDir}}), "is not a plain file"},
		"one file more":     {insert(file("store/000099.sst")), "there is more than"},
		"a file twice":      {func(all []tarFile) []tarFile { return insert(all[1])(all) }, "is there twice"},
		"a second manifest": {func(all []tarFile) []tarFile { return insert(all[0])(all) }, "is there twice"},
		"one file less":     {func(all []tarFile) []tarFile { return append(all[:1:1], all[2:]...) }, "instead of"},
		"no trailer":        {func(all []tarFile) []tarFile { return all[:len(all)-1] }, "it ends early"},
		"something behind":  {func(all []tarFile) []tarFile { return append(all, file("store/000099.sst")) }, "something comes after its end"},
		"no manifest":       {func(all []tarFile) []tarFile { return all[1:] }, "this is not a backup"},
		"attributes": {func(all []tarFile) []tarFile {
			all[1].PAXRecords = map[string]string{"SCHILY.xattr.a": "b"}
			return all
		}, "unknown attribute"},
		"another program's tar":     {func([]tarFile) []tarFile { return []tarFile{file("README")} }, "this is not a backup"},
		"an empty tar":              {func([]tarFile) []tarFile { return nil }, "this is not a backup"},
		"another format":            {manifest(func(m map[string]any) { m["format"] = "x" }), "it has the format"},
		"a newer version":           {manifest(func(m map[string]any) { m["version"] = 2 }), "has version 2 of its format, this program reads version 1"},
		"impossible sizes":          {manifest(func(m map[string]any) { m["bytes"] = -1 }), "are impossible"},
		"too many files":            {manifest(func(m map[string]any) { m["files"] = 1 << 30 }), "are impossible"},
		"a manifest that says less": {manifest(func(m map[string]any) { m["bytes"] = 10 }), "there is more than"},
		"a changed manifest":        {manifest(func(m map[string]any) { m["events"] = 2 }), "the checksum of manifest.json does not match"},
		"a manifest of no JSON":     {func(all []tarFile) []tarFile { all[0].text[0] = 'x'; return all }, "reading manifest.json"},
		"a trailer of no JSON":      {func(all []tarFile) []tarFile { all[len(all)-1].text[0] = 'x'; return all }, "reading trailer.json"},
		"a changed file":            {func(all []tarFile) []tarFile { all[1].text[7] ^= 1; return all }, "the checksum of store/"},
		"a large manifest": {func(all []tarFile) []tarFile {
			all[0].text = append(all[0].text, bytes.Repeat([]byte(" "), 100_000)...)
			all[0].Size = int64(len(all[0].text))
			return all
		}, "manifest.json has"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, pack(t, tc.change(unpack(t, whole))), tc.want)
		})
	}
	for name, text := range map[string]string{"nothing": "", "text": strings.Repeat("hello\n", 1000)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, []byte(text), "")
		})
	}
	t.Run("a size beyond everything", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "manifest.json", Typeflag: tar.TypeReg, Size: 1 << 60}))
		requireRefused(t, out.Bytes(), "this is not a backup")
	})
}

// TestRestore_ChecksTheLogAgainstItsIndex: the sums of the copy are right, but
// what was copied was wrong already.
func TestRestore_ChecksTheLogAgainstItsIndex(t *testing.T) {
	t.Parallel()
	source, _ := closed(t, 10)
	entries := func(db *pebble.DB, prefix string) (keys [][]byte) {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix), UpperBound: []byte{prefix[0] + 1}})
		require.NoError(t, err)
		for ok := it.First(); ok; ok = it.Next() {
			keys = append(keys, bytes.Clone(it.Key()))
		}
		require.NoError(t, it.Close())
		return keys
	}
	for name, tc := range map[string]struct {
		change func(db *pebble.DB) error
		want   string
	}{
		"nothing":              {func(*pebble.DB) error { return nil }, ""},
		"a record is missing":  {func(db *pebble.DB) error { return db.Delete(entries(db, "e")[4], pebble.Sync) }, "there is a gap before it"},
		"the first is missing": {func(db *pebble.DB) error { return db.Delete(entries(db, "e")[0], pebble.Sync) }, "there is a gap before it"},
		"an index entry is missing": {
			func(db *pebble.DB) error { return db.Delete(entries(db, "s")[4], pebble.Sync) }, "the index of its stream says otherwise",
		},
		"an index entry too much": {
			func(db *pebble.DB) error {
				last := entries(db, "s")[9]
				last[16]++
				return db.Set(last, []byte{0, 0, 0, 0, 0, 9, 9, 9}, pebble.Sync)
			}, "in the index of the streams",
		},
		"a name is missing":  {func(db *pebble.DB) error { return db.Delete(entries(db, "n")[0], pebble.Sync) }, "its stream is not in the index"},
		"a name too much":    {func(db *pebble.DB) error { return db.Set([]byte("nx"), make([]byte, 8), pebble.Sync) }, "1 streams, but 2 names"},
		"something unknown":  {func(db *pebble.DB) error { return db.Set([]byte("x"), nil, pebble.Sync) }, "unknown key"},
		"a damaged position": {func(db *pebble.DB) error { return db.Set(entries(db, "s")[3], make([]byte, 8), pebble.Sync) }, "says otherwise"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, source)
			db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
			require.NoError(t, err)
			require.NoError(t, tc.change(db))
			require.NoError(t, db.Close())
			node := open(t, dir, embedded.Options{})
			var out bytes.Buffer
			_, err = node.Backup(t.Context(), &out)
			require.NoError(t, err)
			target := filepath.Join(t.TempDir(), "events")
			_, err = embedded.Restore(t.Context(), &out, target)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			var integrity *embedded.IntegrityError
			require.ErrorAs(t, err, &integrity)
			assert.NoDirExists(t, target)
		})
	}
}

func TestRestore_LeavesOtherFilesAlone(t *testing.T) {
	t.Parallel()
	backup := small(t, 3)
	dir := t.TempDir()
	target := filepath.Join(dir, "events")
	require.NoError(t, os.Mkdir(target, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(target, "x"), nil, 0o600))
	_, err := embedded.Restore(t.Context(), bytes.NewReader(backup), target)
	require.EqualError(t, err, "restoring to "+target+": the directory is not empty")
	_, err = embedded.Restore(t.Context(), bytes.NewReader(backup), filepath.Join(target, "x"))
	require.ErrorContains(t, err, "not a directory")
	require.NoError(t, os.Remove(filepath.Join(target, "x")))

	// A restore that was killed left this.
	require.NoError(t, os.MkdirAll(filepath.Join(target+".restoring", "store", "000001.sst"), 0o700))
	b, err := embedded.Restore(t.Context(), bytes.NewReader(backup), target)
	require.NoError(t, err, "an empty directory makes way")
	assert.EqualValues(t, 3, b.Events)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	info, err := os.Stat(target)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	assert.Len(t, readAll(t, connect(t, open(t, target, embedded.Options{}))), 3)
}

// TestRestore_SurvivesEveryFailedChange: the store is there as a whole, or not
// at all, also after the power fails right afterwards.
func TestRestore_SurvivesEveryFailedChange(t *testing.T) {
	t.Parallel()
	backup := small(t, 3)
	stride := int64(3)
	if testing.Short() || raceEnabled {
		stride = 13
	}
	target := filepath.Join("new", "events")
	for n := int64(1); ; n += stride {
		mem := vfs.NewCrashableMem()
		fault := newFaultFS(mem)
		happened := fault.fillUpAt(n)
		_, err := embedded.RestoreFS(t.Context(), bytes.NewReader(backup), target, fault)
		failed := happened()
		disk := mem.CrashClone(vfs.CrashCloneCfg{})
		_, statErr := disk.Stat(target)
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC, "change %d", n)
		} else {
			require.NoError(t, statErr, "change %d: said to be there", n)
		}
		if statErr == nil {
			node, err := embedded.Open(target, embedded.Options{FS: disk})
			require.NoError(t, err, "change %d", n)
			require.Len(t, readAll(t, connect(t, node)), 3)
			require.NoError(t, node.Close())
		}
		if !failed {
			return
		}
	}
}

// spareFaultFS has no room for the copies that a backup makes.
type spareFaultFS struct {
	*faultFS

	rest vfs.FS
}

func (s *spareFaultFS) of(name string) vfs.FS {
	if strings.Contains(name, "/backup") {
		return s.faultFS
	}
	return s.rest
}

func (s *spareFaultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.of(name).Create(name, c)
}

func (s *spareFaultFS) ReuseForWrite(o, n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.of(n).ReuseForWrite(o, n, c)
}
func (s *spareFaultFS) OpenDir(name string) (vfs.File, error) { return s.of(name).OpenDir(name) }
func (s *spareFaultFS) Rename(o, n string) error              { return s.of(n).Rename(o, n) }
func (s *spareFaultFS) Link(o, n string) error                { return s.of(n).Link(o, n) }
func (s *spareFaultFS) Remove(name string) error              { return s.of(name).Remove(name) }

// TestBackup_WithoutRoomIsNoReasonToStop fails each change that a backup makes
// in turn, and all later ones. The backup may fail; the node goes on.
func TestBackup_WithoutRoomIsNoReasonToStop(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	fs := &spareFaultFS{faultFS: newFaultFS(mem), rest: mem}
	node := open(t, "data", embedded.Options{FS: fs}.WithMemTable(32<<10))
	h := &history{stream: "order-1"}
	stride := int64(1)
	if testing.Short() || raceEnabled {
		stride = 7
	}
	record(t, node, h, 30)
	refused := 0
	for n := int64(1); ; n += stride {
		happened := fs.fillUpAt(n)
		_, err := node.Backup(t.Context(), io.Discard)
		failed := happened()
		fs.become(func(string) fate { return done })
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC, "change %d", n)
			refused++
		}
		_, statErr := mem.Stat("data/backup")
		require.ErrorIs(t, statErr, os.ErrNotExist, "change %d", n)
		record(t, node, h, h.acked+1)
		require.Len(t, h.tried, h.acked, "change %d: appends go on", n)
		require.NoError(t, node.Err())
		if !failed {
			require.NoError(t, err)
			break
		}
	}
	t.Logf("%d backups failed", refused)
	assert.Greater(t, refused, 5)
	b, text := backUp(t, node)
	assert.EqualValues(t, h.acked, b.Events)
	_, err := embedded.RestoreFS(t.Context(), bytes.NewReader(text), "b", mem)
	require.NoError(t, err)
	requireKept(t, open(t, "b", embedded.Options{FS: mem}), h)
	requireKept(t, node, h)
}

// stuck is a reader that comes back when it is asked to.
type stuck struct {
	reached, release chan struct{}
	once             sync.Once
}

func newStuck() *stuck {
	return &stuck{reached: make(chan struct{}), release: make(chan struct{})}
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.reached) })
	<-s.release
	return len(p), nil
}

func TestBackup_EndsWithItsContextAndWithTheNode(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	node := open(t, "data", embedded.Options{FS: mem})
	h := &history{stream: "order-1"}
	record(t, node, h, 3)
	begin := func(ctx context.Context) (*stuck, <-chan error) {
		w, ended := newStuck(), make(chan error, 1)
		go func() {
			_, err := node.Backup(ctx, w)
			ended <- err
		}()
		<-w.reached
		return w, ended
	}

	ctx, cancel := context.WithCancel(t.Context())
	w, ended := begin(ctx)
	_, err := node.Backup(t.Context(), io.Discard)
	require.ErrorIs(t, err, embedded.ErrBackupRunning)
	record(t, node, h, 10) // meanwhile
	require.Equal(t, 10, h.acked)
	cancel()
	close(w.release)
	require.ErrorIs(t, <-ended, context.Canceled)
	names, err := mem.List("data")
	require.NoError(t, err)
	assert.NotContains(t, names, "backup")
	_, err = node.Backup(ctx, io.Discard)
	require.ErrorIs(t, err, context.Canceled)

	w, ended = begin(t.Context())
	closing := make(chan error, 1)
	go func() { closing <- node.Close() }()
	for !errors.Is(err, embedded.ErrClosed) {
		_, err = node.Backup(t.Context(), io.Discard)
		runtime.Gosched() // until Close has begun
	}
	close(w.release)
	require.ErrorIs(t, <-ended, embedded.ErrClosed)
	require.NoError(t, <-closing)
	_, err = node.Backup(t.Context(), io.Discard)
	require.ErrorIs(t, err, embedded.ErrClosed)
}

func TestOpen_RemovesWhatAKilledBackupLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, "backup", "store", "000001.sst")
	require.NoError(t, os.MkdirAll(filepath.Dir(left), 0o700))
	require.NoError(t, os.WriteFile(left, []byte("x"), 0o600))
	open(t, dir, embedded.Options{})
	assert.NoDirExists(t, filepath.Join(dir, "backup"))
}
