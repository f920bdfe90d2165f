package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

//go:embed dist
var dist embed.FS

// pages are the paths at which people find the dashboard. Ids stand behind them as
// parameters, since a path can't hold every text: browsers take "." and ".." away.
func pages() []string {
	return []string{"/{$}", "/order", "/account", "/strategy", "/user", "/instrument", "/entity", "/events", "/anomalies", "/live", "/operations", "/search"}
}

// Where the page takes its files from, as the build writes it, and the path of the
// one that says which server this is.
const (
	builtAssets = "./assets/"
	versionPath = "/assets/version.json"
)

// Dashboard has every page and file.
type Dashboard struct {
	files map[string]http.Handler
}

// New reads what was built into the binary. version is that of the server, which the
// page compares with the one that it came from.
//
// The scripts of one build stand below a path of their own, so that a page which was
// opened before the server changed never runs together with files of another build:
// it gets 404 and says so.
func New(version string) (*Dashboard, error) {
	build, err := buildOf(dist)
	if err != nil {
		return nil, err
	}
	d := &Dashboard{files: make(map[string]http.Handler)}
	page, err := dist.ReadFile("dist/index.html")
	if err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	page = bytes.ReplaceAll(page, []byte(builtAssets), []byte("/assets/"+build+"/"))
	d.add("text/html; charset=utf-8", revalidated, page, pages()...)
	about, err := json.Marshal(map[string]string{"version": version, "build": build})
	if err != nil {
		return nil, fmt.Errorf("encoding the version: %w", err)
	}
	d.add("application/json", "no-store", about, versionPath)
	licences, err := dist.ReadFile("dist/THIRD_PARTY")
	if err != nil {
		return nil, fmt.Errorf("reading the licences: %w", err)
	}
	d.add("text/plain; charset=utf-8", revalidated, licences, "/assets/THIRD_PARTY")
	return d, fs.WalkDir(dist, "dist/assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		media, ok := mediaTypes()[path.Ext(name)]
		if !ok {
			return fmt.Errorf("reading the dashboard: %s is of no known type", name)
		}
		content, err := dist.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading the dashboard: %w", err)
		}
		d.add(media, "public, max-age=31536000, immutable", content, "/assets/"+build+strings.TrimPrefix(name, "dist/assets"))
		return nil
	})
}

// revalidated: names are stable, so ask whether the tag still is.
const revalidated = "no-cache"

func mediaTypes() map[string]string {
	return map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	}
}

// Files are the handlers by path, as http.ServeMux takes them. They answer GET and
// HEAD and may be called at the same time.
func (d *Dashboard) Files() iter.Seq2[string, http.Handler] { return maps.All(d.files) }

func (d *Dashboard) add(media, caching string, content []byte, paths ...string) {
	f := newFile(media, caching, content)
	for _, at := range paths {
		d.files[at] = f
	}
}

// buildOf is a sum over all that was built.
func buildOf(files fs.FS) (string, error) {
	sum := sha256.New()
	var names []string
	err := fs.WalkDir(files, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	slices.Sort(names)
	for _, name := range names {
		content, readErr := fs.ReadFile(files, name)
		err = errors.Join(err, readErr)
		fmt.Fprintf(sum, "%s %d\n", name, len(content))
		sum.Write(content)
	}
	if err != nil {
		return "", fmt.Errorf("reading the dashboard: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
