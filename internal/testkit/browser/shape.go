//go:build unix

package browser

import (
	"slices"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Size is that of the window, in CSS pixels.
func (b *Browser) Size(width, height int) {
	b.t.Helper()
	b.must("change the size", command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(width), Height: int64(height), DeviceScaleFactor: 1, ScrollbarType: emulation.SetDeviceMetricsOverrideScrollbarTypeOverlay,
	}))
}

// Scheme is the person's preference, "light" or "dark".
func (b *Browser) Scheme(name string) { b.t.Helper(); b.prefer("prefers-color-scheme", name) }

// ReducedMotion is that of somebody whom motion on a page makes unwell.
func (b *Browser) ReducedMotion() { b.t.Helper(); b.prefer("prefers-reduced-motion", "reduce") }

func (b *Browser) prefer(feature, value string) {
	b.t.Helper()
	s := b.session
	s.mu.Lock()
	s.media = slices.DeleteFunc(s.media, func(f *emulation.MediaFeature) bool { return f.Name == feature })
	s.media = append(s.media, &emulation.MediaFeature{Name: feature, Value: value})
	features := slices.Clone(s.media)
	s.mu.Unlock()
	b.must("prefer "+value, command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}))
}

// JavaScript switches the scripts of pages on or off, from the next page on.
func (b *Browser) JavaScript(on bool) {
	b.t.Helper()
	b.must("switch JavaScript", command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}))
}

// Screenshot writes a picture of the whole page, however long, into a PNG file.
// Width and height are the window's, scheme is "light" or "dark".
func (b *Browser) Screenshot(path string, width, height int, scheme string) {
	b.t.Helper()
	b.Size(width, height)
	b.Scheme(scheme)
	b.still()
	ctx, cancel := b.limited()
	defer cancel()
	res, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: new(true)})
	if err == nil {
		err = writeFile(path, res.Data)
	}
	if err != nil {
		b.fatal("take the picture %s: %v", path, err)
	}
}

// still waits for fonts, and until transitions have ended.
func (b *Browser) still() {
	b.t.Helper()
	b.Eval(`(async () => {
		await document.fonts.ready;
		await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
		await Promise.all(document.getAnimations().map(a => a.finished.catch(() => {})));
	})()`, nil)
}

// Overflow is by how many pixels the page is wider than the window: one who
// reads would have to scroll in two directions (WCAG 2.2, 1.4.10).
func (b *Browser) Overflow() int {
	b.t.Helper()
	var wider int
	b.Eval(`Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)`, &wider)
	return wider
}

// Widest are the elements that stick out of the window, for a message.
func (b *Browser) Widest() []string {
	b.t.Helper()
	var out []string
	b.Eval(`[...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 160))`, &out)
	return out
}

// Shifts are the jumps of the page's layout since it began to load, other than
// those that followed a person's action (Layout Instability API): how far each
// went and what moved.
func (b *Browser) Shifts() []string {
	b.t.Helper()
	var out []string
	b.Eval(`new Promise(done => {
		const out = [];
		new PerformanceObserver(list => {
			for (const e of list.getEntries()) if (!e.hadRecentInput) out.push(e.value.toFixed(4) + ": " + e.sources.map(s => (s.node?.outerHTML ?? s.node?.textContent ?? "gone").slice(0, 120)).join(", "));
		}).observe({type: "layout-shift", buffered: true});
		setTimeout(() => done(out), 50);
	})`, &out)
	return out
}
