"""Meta-World v3 behind `Env`: fast rendering, start ids, scripted experts (design.md §4)."""

import warnings

import metaworld.policies
import mujoco
import numpy as np
import numpy.typing as npt
from einops import reduce
from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE

from engine.records.tasks import Camera, Task

SUPERSAMPLING = 2
_OBJECT, _GOAL = slice(4, 7), slice(-3, None)  # places in an observation


def make_env(task: Task) -> "MetaWorldEnv":
    """The environment of a record."""
    return MetaWorldEnv(task)


class MetaWorldEnv:
    """One Meta-World task; a start id is the seed of its random vector, so it fixes the state.

    Args:
        task: the record; `env` names a v3 task such as `coffee-push-v3`.

    Raises:
        ValueError: Meta-World has no such task.
    """

    def __init__(self, task: Task) -> None:
        name = f"{task.env}-goal-observable"
        if name not in ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE:
            raise ValueError(f"Meta-World has no task {task.env!r}")
        self._task = task
        self._env = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[name](seed=0)
        self._env.seeded_rand_vec = True
        self._env._freeze_rand_vec = False
        self._expert = metaworld.policies.ENV_POLICY_MAP[task.env]()
        self._observation: npt.NDArray[np.float64] = np.zeros(0)
        self._renderer = _fast_renderer(self._env.model, task.image_size * SUPERSAMPLING)
        self._camera = _camera(task.camera or Camera())

    @property
    def task(self) -> Task:
        """The task's record."""
        return self._task

    @property
    def action_dim(self) -> int:
        """Numbers in one action: xyz displacement and gripper."""
        return self._task.action_dim

    def expert_action(
        self, mistake: npt.NDArray[np.float64] | None = None
    ) -> npt.NDArray[np.float32]:
        """What Meta-World's scripted expert, which reads the state, would do now; in [-1, 1].

        Args:
            mistake: metres [6] by which it takes the object and the goal to be elsewhere.
        """
        seen = self._observation.copy()  # some experts write into what they read
        if mistake is not None:
            seen[_OBJECT] += mistake[:3]
            seen[_GOAL] += mistake[3:]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "constants may be too high": clipped here
            action = self._expert.get_action(seen)
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def reset(self, start_id: int) -> None:
        """Go to the initial state that the id fixes, whatever happened before."""
        mujoco.mj_resetData(self._env.model, self._env.data)
        self._env.seed(start_id)
        self._env.reset()
        # Meta-World moves the goal and its surroundings after its own forward pass.
        mujoco.mj_forward(self._env.model, self._env.data)
        self._observation = self._env._get_obs()

    def step(self, action: npt.NDArray[np.float32]) -> bool:
        """Hold one raw action for `action_repeat` steps; True if the task was achieved in one."""
        clipped = np.clip(action, self._task.action_low, self._task.action_high)
        success = False
        for _ in range(self._task.action_repeat):
            self._observation, _, _, _, info = self._env.step(clipped)
            success = success or bool(info["success"])
        return success

    def state(self) -> npt.NDArray[np.float32]:
        """Hand xyz, gripper opening, object xyz, goal xyz [10], in metres."""
        seen = self._env._get_curr_obs_combined_no_goal()
        goal = np.asarray(self._env._target_pos)
        return np.concatenate([seen[:4], seen[_OBJECT], goal]).astype(np.float32)

    def render(self) -> npt.NDArray[np.uint8]:
        """The current frame [h, w, 3], rendered at twice the size and averaged down."""
        self._renderer.update_scene(self._env.data, self._camera)
        large = self._renderer.render().astype(np.uint16)
        r = SUPERSAMPLING
        total = reduce(large, "(h r) (w s) c -> h w c", "sum", r=r, s=r)
        return ((total + r * r // 2) // (r * r)).astype(np.uint8)

    def close(self) -> None:
        """Free the GL context; EGL complains if that is left to the interpreter's end."""
        self._renderer.close()


def _fast_renderer(model: mujoco.MjModel, size: int) -> mujoco.Renderer:
    """Without shadows, reflections, skybox and multi-sampling: ten times faster, nearly equal."""
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0
    model.vis.global_.offwidth = size
    model.vis.global_.offheight = size
    renderer = mujoco.Renderer(model, size, size)
    for flag in ("mjRND_SHADOW", "mjRND_REFLECTION", "mjRND_SKYBOX"):
        renderer.scene.flags[getattr(mujoco.mjtRndFlag, flag)] = 0
    return renderer


def _camera(camera: Camera) -> mujoco.MjvCamera:
    view = mujoco.MjvCamera()
    view.type = mujoco.mjtCamera.mjCAMERA_FREE
    view.lookat[:] = camera.lookat
    view.distance = camera.distance
    view.azimuth = camera.azimuth
    view.elevation = camera.elevation
    return view
