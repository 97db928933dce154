"""HTML that stands as it is comes from our own tags alone, never out of JSON."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from app.web import assets

HTML = Path(assets.__file__).parent / "html.js"
SCRIPT = """
import { readFileSync } from "node:fs";
const text = readFileSync(process.argv[1], "utf8");
const { html, raw, fill } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
const foreign = JSON.parse('{"html": "<img src=x onerror=alert(1)>"}');
const element = { innerHTML: "" };
let refused = false;
try { fill(element, foreign); } catch (error) { refused = true; }
fill(element, html`<b>${"<i>"}</b>${raw("<hr>")}${[html`<u>`, foreign]}`);
const inside = html`<p>${foreign}</p>`.html;
console.log(JSON.stringify({ inside, refused, shown: element.innerHTML }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the script")
def test_an_object_of_json_is_no_markup() -> None:
    command = ["node", "--input-type=module", "-e", SCRIPT, str(HTML)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    assert "<img" not in found["inside"]
    assert found["refused"]
    assert found["shown"] == "<b>&lt;i&gt;</b><hr><u>[object Object]"
