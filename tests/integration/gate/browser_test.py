"""The page of `--html` in a headless Chromium: no complaint, no request, nothing that sticks out, usable by keyboard and by ear.

BACKFIRE_SCREENSHOTS names a folder that gets pictures of it all, to be looked at.
"""
import os
import sys
import unittest

import gate_kit
import page_samples
from gate_kit import SOURCE, GateTest

sys.path.insert(0, f"{SOURCE}/tests/support")
import chromium  # noqa: E402

PROGRAM = chromium.find()
WIDTHS = (1280, 400)
# What would make a page wider than its window: no element may, unless it scrolls by itself.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Texts of drawings that stick out of their box, or are cut off by the drawing's rim.
STICKS_OUT = """[...document.querySelectorAll('svg text')].filter(text => {
  const box = text.closest('.box'), frame = (box ? box.querySelector('rect') : text.ownerSVGElement).getBoundingClientRect();
  const own = text.getBoundingClientRect();
  return own.width && (own.left < frame.left - 1 || own.right > frame.right + 1);
}).map(text => text.textContent)"""
# Text on what is behind it, by WCAG's formula; the least contrast, with the text.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = text => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
                        return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => { for (; node; node = node.parentElement) {
    const color = rgb(getComputedStyle(node).backgroundColor); if (color[3] > 250) return color; } return [255, 255, 255, 255]; };
  let least = [99, ''];
  for (const node of document.querySelectorAll('p,li,th,td,dt,dd,span,b,strong,summary,h1,h2,h3,code,a,small,figcaption')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || !node.getClientRects().length) continue;
    const a = light(rgb(getComputedStyle(node).color)), b = light(behind(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, node.className + ': ' + node.textContent.slice(0, 40)];
  }
  return least;
})()"""


class InChromium(GateTest):
    """Light, dark, printed; wide and narrow; 3 and 200 descendants; a mesh's update."""

    @classmethod
    def setUpClass(cls):
        cls.browser = chromium.Browser(PROGRAM)

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__(None, None, None)

    def page(self, *arguments, **more):
        done = self.gate("--html", "page.html", *arguments, **more)
        self.assertIn(done.returncode, (0, 1, 6), done.stderr)
        return f"file://{self.folder}/page.html"

    def look(self, name, url):
        """Opens it in every way; returns the last page."""
        pictures = os.environ.get("BACKFIRE_SCREENSHOTS")
        for width in WIDTHS:
            for dark in (False, True):
                page = self.browser.open(url, width=width, dark=dark)
                self.assertEqual(page.complaints(), [])
                self.assertEqual([one for one in page.requests() if not one.startswith("data:")], [url])
                self.assertEqual(page.evaluate(OVERFLOW), 0, f"{name} at {width} px is too wide")
                self.assertEqual(page.evaluate(STICKS_OUT), [], f"{name} at {width} px")
                contrast, text = page.evaluate(CONTRAST)
                self.assertGreaterEqual(contrast, 4.5, f"{name}, dark: {dark}: {text}")
                if pictures:
                    os.makedirs(pictures, exist_ok=True)
                    page.screenshot(f"{pictures}/{name}-{width}-{'dark' if dark else 'light'}.png")
        printed = self.browser.open(url, width=794, media="print")
        self.assertEqual(printed.evaluate(OVERFLOW), 0, f"{name} is too wide for paper")
        # What is folded on a screen is there on paper.
        self.assertTrue(printed.evaluate("[...document.querySelectorAll('details')].every(d => d.scrollHeight > "
                                         "d.querySelector('summary').scrollHeight)"), name)
        if pictures:
            printed.screenshot(f"{pictures}/{name}-print.png")
            printed.pdf(f"{pictures}/{name}.pdf")
        return page

    def test_a_small_system(self):
        page_samples.small(self.folder)
        page = self.look("small", self.page("--swapped", "swapped"))
        # A screen reader hears headings, tables, and how each model stands, in words.
        heard = page.accessible()
        for expected in (("heading", "Refused SELF_DEFEATING"), ("heading", "The system"), ("link", "classifier: worse")):
            self.assertIn(expected, heard)
        self.assertGreaterEqual(sum(1 for role, _ in heard if role == "rowheader"), 6)
        # By keyboard: first to the verdict, then through the parts; a model of the graph leads to its evidence.
        page.press("Tab", 9)
        self.assertEqual(page.evaluate("document.activeElement.textContent"), "To the verdict")
        for _ in range(40):
            page.press("Tab", 9)
            if page.evaluate("document.activeElement.getAttribute('aria-label') || ''") == "classifier: worse":
                break
        else:
            self.fail("the keyboard does not reach the graph")
        page.press("Enter", 13)
        self.assertEqual(page.evaluate("document.querySelector(':target .vertex').textContent"), "classifier")
        # Without colour: every standing has its word and its symbol's shape.
        self.assertTrue(page.evaluate("[...document.querySelectorAll('.badge')].every(b => b.textContent.trim() && b.querySelector('use'))"))

    def test_without_scripts(self):
        page_samples.small(self.folder)
        url = self.page("--swapped", "swapped")
        page = self.browser.open("about:blank")
        page.call("Emulation.setScriptExecutionDisabled", value=True)
        page.call("Page.navigate", url=url)
        self.browser.wait_for("Page.loadEventFired", page.session)
        self.assertIn(("heading", "The evidence, worst first"), page.accessible())

    def test_two_hundred_descendants(self):
        page_samples.large(self.folder)
        page = self.look("large", self.page(timeout=400))
        # A link to what is folded unfolds it.
        page.evaluate("location.hash = '#vertex-150'")
        self.assertTrue(page.evaluate("document.getElementById('vertex-150').closest('details').open"))

    def test_a_meshs_update(self):
        page_samples.mesh(f"{self.folder}/stereo.jsonl", name="car")
        self.look("mesh", self.page("--evidence", "stereo.jsonl", sides=()))
        page_samples.mesh(f"{self.folder}/stereo.jsonl")
        url = self.page("--evidence", "stereo.jsonl", sides=())
        page = self.browser.open(url)
        self.assertEqual(page.evaluate("document.scripts.length"), 0)
        self.assertEqual(page.complaints(), [])

    def test_what_this_test_would_find(self):
        self.write("bad.html", "<!DOCTYPE html><title>x</title><p style='width:3000px;color:#bbb;background:#fff'>wide and pale</p>"
                               "<svg width='20' height='20'><text y='15'>wide as well</text></svg>"
                               "<img src='http://127.0.0.1:9/x.png'><script>console.log('told'); throw 1</script>")
        page = self.browser.open(f"file://{self.folder}/bad.html")
        self.assertIn("http://127.0.0.1:9/x.png", page.requests())
        self.assertGreaterEqual(len(page.complaints()), 2)
        self.assertGreater(page.evaluate(OVERFLOW), 0)
        self.assertEqual(page.evaluate(STICKS_OUT), ["wide as well"])
        self.assertLess(page.evaluate(CONTRAST)[0], 3)


if __name__ == "__main__":
    if PROGRAM is None:
        print("skipped: Chromium is not installed, so nobody looked at the report's page: ./dev deps --browser")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
