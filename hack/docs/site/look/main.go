// Command look opens every page of the rendered documents in a real browser, at the widths
// of a desk and of a phone and in both themes. It fails when a page scrolls sideways, a
// short name is broken, a text is too pale, or when the menu, the outline, the search or a
// diagram does not show. It needs Chromium (Debian: apt-get install chromium), so it is not
// part of make test.
//
//	cd hack/docs/site && go run . && go run ./look [-out DIRECTORY] [-shots DIRECTORY]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// view is a way of looking at a page.
type view struct {
	width int64
	theme string
}

var views = []view{{1280, "light"}, {1280, "dark"}, {390, "light"}, {390, "dark"}}

func main() {
	out := flag.String("out", filepath.Join("..", "..", "..", "bin", "docs"), "directory of the rendered documents")
	shots := flag.String("shots", "", "directory for pictures of the first page and of the one with a diagram; none when empty")
	flag.Parse()
	if err := run(*out, *shots); err != nil {
		fmt.Fprintf(os.Stderr, "look: %v\n", err)
		os.Exit(1)
	}
}

func run(out, shots string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	pages, err := pagesOf(out)
	if err != nil {
		return err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("no-sandbox", os.Geteuid() == 0))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, stop := chromedp.NewContext(allocator)
	defer stop()
	var failed []error
	for _, v := range views {
		for _, name := range pages {
			if err := v.look(ctx, out, name, shots); err != nil {
				failed = append(failed, fmt.Errorf("%s at %d pixels, %s: %w", name, v.width, v.theme, err))
			}
		}
		if err := v.search(ctx, out); err != nil {
			failed = append(failed, fmt.Errorf("the search at %d pixels, %s: %w", v.width, v.theme, err))
		}
	}
	fmt.Printf("%d pages, %d ways to look at each, %d failures\n", len(pages), len(views), len(failed))
	return errors.Join(failed...)
}

// pagesOf lists the pages of a site.
func pagesOf(out string) ([]string, error) {
	var pages []string
	err := fs.WalkDir(os.DirFS(out), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".html") {
			pages = append(pages, name)
		}
		return err
	})
	if err == nil && len(pages) == 0 {
		err = fmt.Errorf("%s has no pages; run make docs first", out)
	}
	return pages, err
}

// open shows a page in a view.
func (v view) open(out, name string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(
		chromedp.EmulateViewport(v.width, 900),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.theme}},
			})
			return err
		}),
		chromedp.Navigate("file://"+filepath.ToSlash(filepath.Join(out, filepath.FromSlash(name)))),
	)
}

// faults is run in a page and returns what is wrong with it.
const faults = `(() => {
  const found = [], wide = innerWidth >= 1248;
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) found.push("it is " + width + " pixels wide");
  for (const code of document.querySelectorAll("code.name"))
    if (code.getClientRects().length > 1) { found.push(code.textContent + " is broken"); break; }
  const light = (color) => {
    const [r, g, b] = color.match(/[\d.]+/g).map((c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const back = light(getComputedStyle(document.body).backgroundColor);
  for (const selector of ["main p", "main a", "main code", "main h1", "nav h2", "nav a", "header a"]) {
    const element = document.querySelector(selector);
    if (!element) continue;
    const text = light(getComputedStyle(element).color);
    const contrast = (Math.max(text, back) + .05) / (Math.min(text, back) + .05);
    if (contrast < 4.5) found.push(selector + " has a contrast of " + contrast.toFixed(1));
  }
  for (const svg of document.querySelectorAll(".diagram svg"))
    if (svg.getBoundingClientRect().height < 100 || !svg.querySelector("text")) found.push("a diagram does not show");
  for (const image of document.images)
    if (!image.complete || image.naturalWidth === 0) found.push("the picture " + image.src + " does not show");
  for (const id of ["pages", "outline"]) {
    const nav = document.getElementById(id), button = document.querySelector("[popovertarget=" + id + "]");
    if (!nav) continue;
    if (nav.checkVisibility() !== wide) found.push("the list " + id + " is " + (wide ? "hidden" : "in the way"));
    if (wide) continue;
    button.click();
    if (!nav.checkVisibility()) found.push("the button does not open the list " + id);
    nav.hidePopover();
  }
  return found;
})()`

// look checks a page in a view.
func (v view) look(ctx context.Context, out, name, shots string) error {
	if err := chromedp.Do(ctx, v.open(out, name)); err != nil {
		return err
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](faults))
	if err != nil {
		return err
	}
	theme, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`matchMedia("(prefers-color-scheme: %s)").matches`, v.theme)))
	if err != nil {
		return err
	}
	if !theme {
		found = append(found, "the browser did not take the theme")
	}
	if len(found) > 0 {
		return errors.New(strings.Join(found, "; "))
	}
	if shots == "" || name != "index.html" && name != "architecture.html" {
		return nil
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(90))
	if err != nil {
		return err
	}
	file := fmt.Sprintf("%s-%d-%s.jpg", strings.TrimSuffix(name, ".html"), v.width, v.theme)
	return os.WriteFile(filepath.Join(shots, file), picture, 0o600)
}

// search types a word into the search of a page in a folder, and follows the first result.
func (v view) search(ctx context.Context, out string) error {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if err := chromedp.Do(ctx, v.open(out, "tasks/uninstall.html"),
		chromedp.SendKeys("[role=search] input", "NamespaceNotAllowed"),
		chromedp.WaitVisible("[role=status] a"),
		chromedp.SendKeys("[role=search] input", kb.Enter),
		chromedp.WaitVisible("//h1[contains(., 'Troubleshooting')]")); err != nil {
		return err
	}
	title, err := chromedp.Run(ctx, chromedp.Title())
	if err == nil && !strings.HasPrefix(title, "Troubleshooting") {
		err = fmt.Errorf("it leads to %q", title)
	}
	return err
}
