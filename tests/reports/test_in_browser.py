"""The report in a real browser: Chromium, headless, without a network."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest
from reports.made_run import made_run

from cmml_tf.reports.run_page import write_run_report
from cmml_tf.settings.scenario.form import SCENARIO

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"
)
# Looks into frames of several widths and writes what it finds into its own page.
PROBE = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const frames = [1200, 360].map(width => {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900; frame.src = "report.html";
  document.body.append(frame);
  return frame;
});
function seen(frame) {
  const page = frame.contentDocument, view = frame.contentWindow;
  const box = one => one.getBoundingClientRect();
  const body = view.getComputedStyle(page.body);
  return {
    sideways: page.documentElement.scrollWidth - view.innerWidth,
    tables: [...page.querySelectorAll(".scroll")].map(one => one.scrollWidth - one.clientWidth),
    ink: body.color, paper: body.backgroundColor,
    figures: [...page.querySelectorAll("svg")].map(svg => ({
      width: box(svg).width, height: box(svg).height,
      marks: [...svg.querySelectorAll("path, use")].filter(
        one => box(one).width > 0 || box(one).height > 0).length,
      letters: Math.min(...[...svg.querySelectorAll("text")].map(one => box(one).height)),
      ink: view.getComputedStyle(svg.querySelector("text")).fill,
      outside: [...svg.querySelectorAll("text")].filter(one =>
        box(one).left < box(svg).left - 2 || box(one).right > box(svg).right + 2).length,
    })),
  };
}
window.onload = () => {
  const found = document.createElement("pre");
  found.id = "found";
  found.textContent = JSON.stringify(frames.map(seen));
  document.body.append(found);
};
</script></body>"""


@pytest.fixture(scope="module", params=["light", "dark"])
def seen(request, tmp_path_factory):
    """The scheme, what the wide and the narrow frame show, and what Chromium logged."""
    folder = tmp_path_factory.mktemp(request.param)
    names = [f"shelf {number}" for number in range(17)]
    made_run(folder, [*names, "<b>$x$</b>", "夏のセール"])
    write_run_report(folder, SCENARIO)
    (folder / "probe.html").write_text(PROBE)
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *("--enable-logging=stderr", "--v=0", f"--user-data-dir={folder / 'browser'}"),
            f"--blink-settings=preferredColorScheme={int(request.param == 'light')}",
            *("--virtual-time-budget=5000", "--dump-dom", f"file://{folder / 'probe.html'}"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    wide, narrow = json.loads(unescape(found[1]))
    return request.param, wide, narrow, done.stderr


def test_it_loads_without_a_word_on_the_console(seen):
    assert [line for line in seen[3].splitlines() if "CONSOLE" in line] == []


def test_every_figure_is_drawn_and_can_be_read_wide_and_narrow(seen):
    _, wide, narrow, _ = seen
    for page, widest in ((wide, 1200), (narrow, 360)):
        assert page["sideways"] <= 0
        assert len(page["figures"]) == 9
        for figure in page["figures"]:
            assert 300 < figure["width"] <= widest
            assert figure["height"] > 80
            assert figure["marks"] > 10
            assert figure["letters"] >= 9
            assert figure["outside"] == 0


def test_a_wide_window_has_room_for_whole_tables(seen):
    _, wide, _, _ = seen
    assert len(wide["tables"]) >= 6
    assert max(wide["tables"]) <= 0


def _brightness(colour):
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_it_is_light_or_dark_as_the_reader_likes(seen):
    scheme, wide, narrow, _ = seen
    for page in (wide, narrow):
        ink, paper = _brightness(page["ink"]), _brightness(page["paper"])
        assert (paper - ink > 150) if scheme == "light" else (ink - paper > 150)
        assert {figure["ink"] for figure in page["figures"]} == {page["ink"]}
