// Package portal walks through the portal's pages of the built program in a
// real browser: the procedures that people follow, with the words that they
// know, and what strangers try.
package portal

import (
	"flag"
	"os"
	"testing"

	_ "github.com/entente-id/entente/internal/cli" // what the program is made of: a change of it runs these tests again
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/browser"
)

var screenshots = flag.String("screenshots", "", "write pictures of all pages into this `directory`, and test nothing else")

func TestMain(m *testing.M) {
	flag.Parse()
	code := testkit.Main(m)
	browser.Close()
	os.Exit(code)
}

// TestPortal gives one service to all walks, each of which has a window and an
// application or identity of its own. With -screenshots it takes pictures instead.
func TestPortal(t *testing.T) {
	if *screenshots != "" {
		takePictures(t, *screenshots)
		return
	}
	w := newTown(t)
	for _, k := range []struct {
		name string
		walk func(*testing.T, *town)
	}{
		{"an application's credential", testApplication},
		{"a managed identity's credential", testIdentity},
		{"a look at a credential", testLook},
		{"edit and delete", testEditAndDelete},
		{"with the keyboard only", testKeyboard},
		{"without JavaScript", testWithoutJavaScript},
		{"links and sessions", testLinks},
		{"a reader", testReader},
		{"signing in elsewhere", testProvider},
		{"a link from elsewhere", testLinkFromElsewhere},
		{"help", testHelp},
		{"diagnosis", testDiagnosis},
		{"pages", testPages},
		{"assets", testAssets},
		{"hostile names", testHostileNames},
		{"every link", testCrawl}, // with such names
		{"hostile fields", testHostileFields},
		{"hostile addresses", testHostileAddresses},
		{"other origins", testOtherOrigins},
		{"framing", testFraming},
	} {
		t.Run(k.name, func(t *testing.T) { k.walk(t, w) })
	}
}
