package httpserver_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// readme returns the blocks of the README in a language.
func readme(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("no block of %s in the README", language)
	}
	return blocks
}

func TestReadmePrograms(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here: ", err)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range readme(t, "go") {
		dir := t.TempDir()
		mod := "module example\n\ngo 1.25\n\nrequire httpserver v0.0.0\n\nreplace httpserver => " + filepath.ToSlash(root) + "\n"
		for name, text := range map[string]string{"go.mod": mod, "main.go": program} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		vet := exec.Command("go", "vet", ".")
		vet.Dir = dir
		if output, err := vet.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, output, program)
		}
	}
}

// Commands that start a server are started on a free port. Those of the go tool are
// only compared, except go build. Without openssl, no server is started with the files
// that it would make.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here: ", err)
	}
	dir, module := t.TempDir(), t.TempDir() // of the *.pem files, and of a program
	binary := filepath.Join(dir, "httpserver")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	started := 0
	for _, block := range readme(t, "sh") {
		for line := range strings.Lines(block) {
			words := strings.Fields(line)
			switch {
			case slices.Equal(words, []string{"go", "test", "./..."}):
			case slices.Equal(words, []string{"go", "build", "./cmd/httpserver"}):
			case len(words) > 3 && slices.Equal(words[:3], []string{"go", "run", "./cmd/httpserver"}):
				startCommand(t, binary, append(words[3:len(words)-1], "0"))
				started++
			case words[0] == "mkdir", len(words) > 2 && words[1] == "mod":
				runIn(t, module, words)
			case words[0] == "openssl":
				if hasOpenSSL(t) {
					runIn(t, dir, words)
				}
			case words[0] == "./httpserver":
				if err := findPEMFiles(dir, words); err != nil {
					if hasOpenSSL(t) {
						t.Error(err)
					}
					continue
				}
				last := len(words) - 1
				if strings.Trim(words[last], "0123456789") != "" {
					t.Errorf("no port at the end of %q", line)
				}
				words[last] = "0"
				startCommand(t, binary, words[1:])
				started++
			default:
				t.Errorf("what does %q do?", line)
			}
		}
	}
	if started < 2 {
		t.Errorf("%d commands were started", started)
	}
}

// runIn runs a command in a directory.
func runIn(t *testing.T, dir string, words []string) {
	t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%q: %v\n%s", words, err, output)
	}
}

func hasOpenSSL(t *testing.T) bool {
	t.Helper()
	_, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("no openssl here: ", err)
	}
	return err == nil
}

// findPEMFiles replaces the names of files among words by their paths in dir.
func findPEMFiles(dir string, words []string) error {
	for i, word := range words {
		if strings.HasSuffix(word, ".pem") {
			words[i] = filepath.Join(dir, word)
			if _, err := os.Stat(words[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// startCommand builds the command if necessary, starts it, and waits until it serves.
func startCommand(t *testing.T, binary string, args []string) {
	t.Helper()
	if output, err := exec.Command("go", "build", "-o", binary, "./cmd/httpserver").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	cmd := exec.Command(binary, args...)
	line, err := firstLine(t, cmd)
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if !strings.HasPrefix(line, "Serving HTTP") {
		t.Errorf("%q printed %q, %v", args, line, err)
	}
}

// Each difference that TestPython knows is in the README.
func TestReadmeDifferences(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\n## Differences from Python\n")
	for _, d := range differences {
		if d.until == (pythonVersion{}) && !strings.Contains(list, "\n- "+d.reason+"\n") {
			t.Errorf("the README does not say: %s", d.reason)
		}
	}
}
