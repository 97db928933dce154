"""The two ways a page calls Python, each with our defaults said once.

A *server function* answers the browser's own scripts; an *event* comes from a Gradio component.
What a user can cause (`ValueError`, or `LookupError` for an unknown id) becomes one sentence in
both: `{"refused": sentence}` for the scripts, `gr.Error` for an event. Anything else is a defect
and stays an exception.
"""

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import gradio as gr
import orjson
from gradio.context import LocalContext

from app.access import Access
from app.rates import TooMuchError
from app.visitors import asking, person
from app.web.questions import Answer, answer_of, parse, question_of, sentence
from app.web.sessions import PERSON
from engine.records.texts import as_unicode, check_unicode
from storage.damage import fault_of_disk

_AS_GRADIO = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS
_PLAIN = (str, list, dict)

Served = Callable[[object], Answer]


def presentable(answer: Any) -> Any:
    """An answer that can be sent: one old value that is no Unicode does not cost the others."""
    try:
        orjson.dumps(answer, option=_AS_GRADIO, default=str)
    except TypeError:
        return as_unicode(answer)
    return answer


def serve(access: Access, panel: str, **answers: Callable[..., Answer]) -> list[Served]:
    """The functions that a panel's script calls, by their names.

    Each is refused to whom `app.access` does not allow `PANEL.NAME`. What comes is read as the
    kind of question that the function answers, and users' errors come back as an answer.
    """
    return [_served(access, panel, name, fn) for name, fn in answers.items()]


def _served(access: Access, panel: str, name: str, fn: Callable[..., Answer]) -> Served:
    kind = question_of(fn)

    def call(question: object = None) -> Answer:
        try:
            access.check(f"{panel}.{name}")
            check_unicode(question, "the request")
            answer: Answer = presentable(fn() if kind is None else fn(parse(kind, question)))
            return answer
        except (ValueError, LookupError) as error:
            return {"refused": sentence(error)}
        except TooMuchError as error:
            if who := person():
                who.too_much = True  # the answer is a 429
            return {"refused": str(error)}
        except Exception as error:
            if told := fault_of_disk(error):
                return {"refused": told}
            raise

    call.__name__, call.__qualname__ = name, f"{panel}.{name}"
    call.__annotations__ = {"question": kind, "return": answer_of(fn)}
    return call


def guarded(access: Access, action: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`, refused to whom `app.access` does not allow the action; what it did not take of a quota
    goes back.
    """

    @functools.wraps(fn)
    def call(*values: Any, **named: Any) -> Any:
        try:
            access.check(action)
            return fn(*values, **named)
        finally:
            access.refund()

    return call


def in_sentences(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`, whose refusals reach a person as their sentence."""

    @functools.wraps(fn)
    def call(*values: Any, **named: Any) -> Any:
        try:
            check_unicode([value for value in values if isinstance(value, _PLAIN)])
            check_unicode(named)
            with _asked():
                return presentable(fn(*values, **named))
        except (ValueError, LookupError) as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        except TooMuchError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:
            if told := fault_of_disk(error):
                raise gr.Error(told, print_exception=False) from error
            raise

    return call


def _asked() -> AbstractContextManager[None]:
    """Who asks, also where an event waited in the queue, far from the request that brought it."""
    request = getattr(LocalContext.request.get(None), "request", None)
    known = request.scope.get(PERSON) if request is not None else None
    return asking(known) if known is not None else nullcontext()


def on(
    event: Callable[..., Any],
    fn: Callable[..., Any],
    inputs: Sequence[Any] | Any | None = None,
    outputs: Sequence[Any] | Any | None = None,
    **settings: Any,
) -> None:
    """Bind an event: private, without a progress overlay, refusals as one sentence."""
    defaults = {"show_progress": "hidden", "api_visibility": "private"}
    event(in_sentences(fn), inputs, outputs, **(defaults | settings))


def on_visit(fn: Callable[..., Any], inputs: Sequence[Any] | None, outputs: Any) -> None:
    """Call `fn` whenever the page is opened and whenever one of its inputs changes."""
    gr.on(
        None,
        fn,
        inputs,
        outputs,
        show_progress="hidden",
        api_visibility="private",
        queue=False,
    )
