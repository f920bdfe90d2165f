// Package deploy_test holds docker-compose.yml to the rules that the compose
// schema can't express. The schema itself is checked by `make compose-check`;
// whether the services start is seen only where there is a container engine.
package deploy_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const root = ".."

// service has the keys that the rules below are about.
type service struct {
	Build       string
	Image       string
	Command     []string
	Profiles    []string
	Ports       []string
	Volumes     []string
	Healthcheck *struct{ Test []string }
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

// compose is the file, as far as the rules look.
type compose struct {
	Name     string
	Services map[string]service
	Networks map[string]any
	Volumes  map[string]any
}

func load(t *testing.T) compose {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file compose
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatalf("parsing docker-compose.yml: %v", err)
	}
	for _, name := range []string{"eventstore", "redis", "tradetrail", "tradetrail-cluster"} {
		if _, ok := file.Services[name]; !ok {
			t.Fatalf("no service %s", name)
		}
	}
	return file
}

func TestCompose_ServicesArePinnedAndProbed(t *testing.T) {
	file := load(t)
	// A service that others wait for until it has finished needs no probe.
	finishes := map[string]bool{}
	for _, s := range file.Services {
		for name, dep := range s.DependsOn {
			finishes[name] = finishes[name] || dep.Condition == "service_completed_successfully"
		}
	}
	for name, s := range file.Services {
		if s.Build == "" && s.Image == "" {
			t.Errorf("%s: neither image nor build", name)
		}
		if tag := regexp.MustCompile(`:[\w.-]+$`).FindString(s.Image); s.Image != "" && (tag == "" || tag == ":latest") {
			t.Errorf("%s: image %s names no version", name, s.Image)
		}
		if (s.Healthcheck == nil || len(s.Healthcheck.Test) < 2) && !finishes[name] {
			t.Errorf("%s: no health check", name)
		}
	}
}

// Nothing here has a password worth the name, so nothing may be reachable from
// another machine.
func TestCompose_PortsAreOnLoopback(t *testing.T) {
	taken := map[string]string{}
	for name, s := range load(t).Services {
		for _, port := range s.Ports {
			host, _, _ := strings.Cut(strings.TrimPrefix(port, "127.0.0.1:"), ":")
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is published beyond 127.0.0.1", name, port)
			}
			if other := taken[host]; other != "" {
				t.Errorf("%s: host port %s is taken by %s", name, host, other)
			}
			taken[host] = name
		}
	}
}

func TestCompose_VolumesAreDeclaredAndUsed(t *testing.T) {
	file := load(t)
	used := map[string]bool{}
	for name, s := range file.Services {
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(source, ".") {
				// Docker would make an empty folder of a name that is missing.
				if _, err := os.Stat(filepath.Join(root, source)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			used[source] = true
			if _, ok := file.Volumes[source]; !ok {
				t.Errorf("%s: volume %s is not declared", name, source)
			}
		}
	}
	for volume := range file.Volumes {
		if !used[volume] {
			t.Errorf("volume %s is used by no service", volume)
		}
	}
}

func TestCompose_DependenciesStartWithTheirDependants(t *testing.T) {
	file := load(t)
	for name, s := range file.Services {
		for depName, dep := range s.DependsOn {
			depService, ok := file.Services[depName]
			if !ok {
				t.Errorf("%s depends on %s, which is no service", name, depName)
				continue
			}
			if dep.Condition == "service_healthy" && depService.Healthcheck == nil {
				t.Errorf("%s waits for the health of %s, which has no health check", name, depName)
			}
			for _, profile := range depService.Profiles {
				if !slices.Contains(s.Profiles, profile) {
					t.Errorf("%s depends on %s, which starts in profile %s only", name, depName, profile)
				}
			}
		}
	}
}

// The hosts in the connection strings must be services that are up by then.
func TestCompose_ConnectionStringsNameDependencies(t *testing.T) {
	for name, s := range load(t).Services {
		for _, arg := range s.Command {
			flag, value, _ := strings.Cut(arg, "=")
			if flag != "--eventstore" && flag != "--redis" {
				continue
			}
			// An esdb URL has several hosts, which url.Parse can't read.
			_, rest, _ := strings.Cut(value, "://")
			rest, query, _ := strings.Cut(rest, "?")
			if _, err := url.ParseQuery(query); err != nil {
				t.Errorf("%s: %s: %v", name, arg, err)
			}
			if at := strings.LastIndex(rest, "@"); at >= 0 {
				rest = rest[at+1:]
			}
			rest, _, _ = strings.Cut(rest, "/")
			for host := range strings.SplitSeq(rest, ",") {
				host, _, _ = strings.Cut(host, ":")
				if _, ok := s.DependsOn[host]; !ok {
					t.Errorf("%s: %s names %s, on which it does not depend", name, flag, host)
				}
			}
		}
	}
}

// The words in `command` and in the health checks are asked of the binary
// itself, so that neither file can go its own way.
func TestCompose_CommandsAndFlagsExist(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command")
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", "tradetrail", "main.go")); err != nil {
		t.Skip("nothing to ask: ", err)
	}
	binary := filepath.Join(t.TempDir(), "tradetrail")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/tradetrail")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building cmd/tradetrail: %v\n%s", err, out)
	}

	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	// command line -> where it stands
	lines := map[string]string{}
	for _, array := range regexp.MustCompile(`(?m)^\s*CMD \[(.*)\]$`).FindAllStringSubmatch(string(dockerfile), -1) {
		words := strings.NewReplacer(`"`, "", ",", "").Replace(array[1])
		lines[strings.TrimPrefix(words, "/tradetrail ")] = "Dockerfile"
	}
	if len(lines) != 2 {
		t.Fatalf("%d CMD lines in the Dockerfile, want that of the health check and the default command", len(lines))
	}
	for name, s := range load(t).Services {
		if s.Build == "" {
			continue
		}
		lines[strings.Join(s.Command, " ")] = name
		lines[strings.Join(s.Healthcheck.Test[2:], " ")] = name
	}

	for line, where := range lines {
		words := strings.Fields(line)
		out, err := exec.CommandContext(t.Context(), binary, words[0], "--help").CombinedOutput()
		// Asked for the help of a command it does not have, the program shows
		// its general help and calls that a success.
		if err != nil || !regexp.MustCompile(`(?m)^\s*tradetrail `+words[0]+`\b`).Match(out) {
			t.Errorf("%s: the program has no command %q (%v)", where, words[0], err)
			continue
		}
		for _, word := range words[1:] {
			flag, _, _ := strings.Cut(word, "=")
			if strings.HasPrefix(flag, "--") && !regexp.MustCompile(`\s`+regexp.QuoteMeta(flag)+`\s`).Match(out) {
				t.Errorf("%s: tradetrail %s has no flag %s", where, words[0], flag)
			}
		}
	}
}
