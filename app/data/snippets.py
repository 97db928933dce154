"""How to use the studio from a script: examples that run as they are, and store nothing."""

ADDRESS = "http://127.0.0.1:7860"  # replaced by where the page is

_PYTHON = """\
from gradio_client import Client

studio = Client("{address}", verbose=False)
item = studio.predict(None, "me", api_name="/next_item")["item"]
print("next to judge:", item and item["id"])
# Look at the clip first. Then, with an id of your own for each judgement (uuid4):
# studio.predict(item["id"], "success", None, EVENT_ID, api_name="/label")
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
