package durability

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// needVolumes skips a test where file systems cannot be mounted, or, for root
// in CI, fails it.
func needVolumes(t *testing.T, programs ...string) {
	t.Helper()
	if !mayMount() {
		t.Skip("mounting file systems needs Linux and root")
	}
	need(t, append(programs, "mount", "umount", "/dev/loop-control")...)
}

// need skips a test where programs or files are missing, which root can
// install: ./test does. In CI that is a failure.
func need(t *testing.T, what ...string) {
	t.Helper()
	var missing []string
	for _, name := range what {
		_, err := exec.LookPath(name)
		if filepath.IsAbs(name) {
			_, err = os.Stat(name)
		}
		if err != nil {
			missing = append(missing, name)
		}
	}
	switch text := "missing: " + strings.Join(missing, ", "); {
	case len(missing) == 0:
	case os.Getenv("CI") == "true" && os.Geteuid() == 0:
		t.Fatal(text)
	default:
		t.Skip(text)
	}
}

// command runs a program that has to succeed, and returns what it printed.
func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, complaints.String())
	}
	return out.String()
}

// newImage makes a file of so many bytes, most of them holes, with a file system in it.
func newImage(t testing.TB, file string, size int64, mkfs string, args ...string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	command(t, mkfs, append(args, file)...)
}

// mount mounts the file system in an image until the test ends, or detach is called.
func mount(t testing.TB, image, at string) (detach func()) {
	t.Helper()
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "mount", "-o", "loop", image, at)
	mounted := true
	detach = func() {
		if !mounted {
			return
		}
		mounted = false
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			said, err := exec.Command("umount", at).CombinedOutput()
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("umount: %v\n%s", err, said)
				return
			}
		}
		for deadline := time.Now().Add(10 * time.Second); loopsOf(t, image) != ""; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("a loop device is left: %s", loopsOf(t, image))
				return
			}
		}
	}
	t.Cleanup(detach)
	return detach
}

// loopsOf names the loop devices that an image is attached to.
func loopsOf(t testing.TB, image string) string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		backing, err := os.ReadFile(file)
		if err == nil && strings.TrimSuffix(string(backing), "\n") == image {
			names = append(names, strings.Split(file, "/")[3])
		}
	}
	return strings.Join(names, " ")
}

// leftBehind makes the process of TestNothingIsLeftBehind's child mount an image, say so and wait.
const leftBehind = "ENTENTE_DURABILITY_MOUNT"

func TestNothingIsLeftBehind(t *testing.T) {
	needVolumes(t, "mkfs.ext4")
	if image := os.Getenv(leftBehind); image != "" {
		mount(t, image, filepath.Join(filepath.Dir(image), "at"))
		os.Stdout.WriteString("mounted\n")
		select {}
	}
	image := filepath.Join(t.TempDir(), "image")
	newImage(t, image, 8<<20, "mkfs.ext4", "-q")
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestNothingIsLeftBehind$")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, namespaced+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, leftBehind+"="+image)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 100)
	n, err := out.Read(said)
	if err != nil || string(said[:n]) != "mounted\n" {
		t.Errorf("the child said %q (%v)", said[:n], err)
	}
	if loopsOf(t, image) == "" {
		t.Error("the child has attached nothing")
	}
	cmd.Process.Kill() // which spares it no time to clean up
	cmd.Wait()
	for deadline := time.Now().Add(20 * time.Second); loopsOf(t, image) != ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("of a test that was killed %s is left", loopsOf(t, image))
		}
	}
}
