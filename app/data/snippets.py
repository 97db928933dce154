"""How to use the studio from a script: examples that run as they are."""

ADDRESS = "http://127.0.0.1:7860"  # replaced by where the page is

_PYTHON = """\
from uuid import uuid4
from gradio_client import Client

studio = Client("{address}", verbose=False)
item = studio.predict(None, "me", api_name="/next_item")["item"]
if item:
    said = (item["id"], "success", None, str(uuid4()), None, None, "by script", None, "me")
    print(studio.predict(*said, api_name="/label"))
print(studio.predict(None, {{"label": "any"}}, api_name="/rm_audit")["summary"])
"""

_CURL = """\
STUDIO={address}/gradio_api/call
ASKED=$(curl -s $STUDIO/next_item -H 'Content-Type: application/json' \\
  -d '{{"data": [null, "me"]}}' | cut -d '"' -f 4)
curl -sN $STUDIO/next_item/$ASKED
"""


def snippets(address: str = ADDRESS) -> dict[str, str]:
    """Examples by language, for a studio at an address."""
    return {"python": _PYTHON.format(address=address), "curl": _CURL.format(address=address)}
