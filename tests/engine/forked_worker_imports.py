"""What the process imports that workers are forked from."""

from tests.engine.forked_worker import warm_up

warm_up()
