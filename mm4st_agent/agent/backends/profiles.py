"""How each family of vision-language models is served by vLLM 0.32, so that pictures and tools both arrive.

Each profile says what was verified here, with a tiny random checkpoint or with vLLM's own parsers, and what is taken
from documentation: no large checkpoint was run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mm4st_agent.agent.backends.wire import Placement
from mm4st_agent.errors import UsageError

TEMPLATES = Path(__file__).parent / "templates"
VLLM_VERSION = "0.32"
"""The profiles were written for it."""

_TEMPLATE_TESTED = (
    "the template: rendered by transformers and by vLLM on golden conversations, each picture marked once, its calls"
    " read back by vLLM's parser"
)
_FLAGS_TESTED = "the flags: accepted by vLLM's argument parser"


@dataclass(frozen=True)
class Profile:
    """What vLLM is told about one family of models.

    Attributes:
        name: As `--profile` takes it.
        title: For people.
        model_types: `model_type` in the config.json of such checkpoints.
        names: Regular expression that the names of such models match, case ignored.
        example: A model of the family.
        tool_parser: How the model writes tool calls, in vLLM's words.
        reasoning_parser: How it marks its thoughts; None: it has none.
        chat_template: A file in `TEMPLATES`; None keeps the checkpoint's own.
        strict: The least that calls are held to: `"parameter"` the schema of the arguments, `"auto"` what a request
            asks for. Without effect where the parser has no grammar.
        interleave: The template takes plain texts, into which vLLM writes the marks of pictures.
        processor: Caps of a picture's size. Pictures of the tools have 1280 x 768 pixels.
        max_images: Pictures in one request.
        max_model_len: Context in tokens; a local checkpoint with less gets its own.
        tool_images: What `MM4ST_VLLM_TOOL_IMAGES` should be.
        verified: What was checked here.
        documented: What was not, and where it is from.
    """

    name: str
    title: str
    example: str
    model_types: tuple[str, ...] = ()
    names: str = r"(?!)"
    tool_parser: str = "hermes"
    reasoning_parser: str | None = None
    chat_template: str | None = None
    strict: Literal["auto", "parameter"] = "parameter"
    interleave: bool = False
    processor: Mapping[str, Any] = field(default_factory=dict)
    max_images: int = 8
    max_model_len: int | None = 32768
    tool_images: Placement = "user"
    verified: tuple[str, ...] = (_FLAGS_TESTED,)
    documented: tuple[str, ...] = ()

    @property
    def template_path(self) -> Path | None:
        """The shipped chat template, or None where the checkpoint's own is used."""
        return None if self.chat_template is None else TEMPLATES / self.chat_template

    def flags(
        self,
        *,
        chat_template: Path | None = None,
        tool_parser: str | None = None,
        max_images: int | None = None,
        max_model_len: int | None = None,
    ) -> list[str]:
        """The flags of vLLM's server that belong to the model; an argument that is not None takes the profile's place.

        Raises:
            UsageError: `chat_template` is no file.
        """
        template = chat_template or self.template_path
        if template is not None and not template.is_file():
            raise UsageError(f"Chat template {template} is not a file.")
        length = max_model_len or self.max_model_len
        flags = ["--enable-auto-tool-choice", "--tool-call-parser", tool_parser or self.tool_parser]
        flags += ["--tool-strict-level", self.strict]
        flags += ["--reasoning-parser", self.reasoning_parser] if self.reasoning_parser else []
        flags += ["--chat-template", str(template)] if template is not None else []
        # Only a template written for plain texts wants them; another one reads the parts of a message.
        if self.interleave and chat_template is None:
            flags += ["--chat-template-content-format", "string", "--interleave-mm-strings"]
        flags += ["--limit-mm-per-prompt", json.dumps({"image": max_images or self.max_images, "video": 0})]
        flags += ["--mm-processor-kwargs", json.dumps(dict(self.processor))] if self.processor else []
        flags += ["--max-model-len", str(length)] if length is not None else []
        return flags


_QWEN_PIXELS = {"max_pixels": 1280 * 28 * 28}
"""Just above what a picture of the tools has; the families' own caps are 13 and 17 times as high."""

_QWEN3_VL = Profile(
    name="qwen3-vl",
    title="Qwen3-VL Instruct",
    example="Qwen/Qwen3-VL-4B-Instruct",
    model_types=("qwen3_vl", "qwen3_vl_moe"),
    names=r"qwen3-?vl(?!.*thinking)",
    processor=_QWEN_PIXELS,
    documented=(
        "the checkpoint's own template marks pictures and lists tools; a picture in a tool reply is unconfirmed",
        "its calls have the hermes form (vLLM's alias qwen3_json is the same parser)",
        "about 960 tokens a picture of 1280 x 768",
    ),
)
_INTERNVL = Profile(
    name="internvl",
    title="InternVL 3 and 3.5, checkpoints in the transformers format (-HF)",
    example="OpenGVLab/InternVL3_5-4B-HF",
    model_types=("internvl",),
    names=r"internvl.*-hf",
    chat_template="chatml.jinja",
    interleave=True,
    processor={"max_patches": 4},
    verified=(_FLAGS_TESTED, _TEMPLATE_TESTED, "interleaving: vLLM puts each picture's mark where its part stands"),
    documented=(
        "the checkpoint's own template lists no tools, and a user of hermes without ours failed",
        "the language model is a Qwen, which knows the hermes form; whether InternVL kept it is unknown",
        "at most 4 tiles and a thumbnail a picture, 256 tokens each",
    ),
)
PROFILES: tuple[Profile, ...] = (
    _QWEN3_VL,
    replace(
        _QWEN3_VL,
        name="qwen3-vl-thinking",
        title="Qwen3-VL Thinking",
        example="Qwen/Qwen3-VL-8B-Thinking",
        names=r"qwen3-?vl.*thinking",
        reasoning_parser="qwen3",
        documented=(
            *_QWEN3_VL.documented,
            "thoughts are marked as Qwen3's; raise MM4ST_VLLM_MAX_TOKENS, they count too",
        ),
    ),
    Profile(
        name="qwen2.5-vl",
        title="Qwen2.5-VL",
        example="Qwen/Qwen2.5-VL-7B-Instruct",
        model_types=("qwen2_5_vl",),
        names=r"qwen2[._]5-?vl",
        chat_template="chatml.jinja",
        processor=_QWEN_PIXELS,
        verified=(_FLAGS_TESTED, _TEMPLATE_TESTED),
        documented=(
            "its checkpoints bring a template with pictures and one with tools; vLLM takes the second when tools are"
            " offered, and the pictures are lost",
            "the language model writes calls in the hermes form; small ones (3B) call tools unreliably",
            "about 1,250 tokens a picture of 1280 x 768",
        ),
    ),
    Profile(
        name="smolvlm",
        title="SmolVLM, SmolVLM2 and Idefics3",
        example="HuggingFaceTB/SmolVLM-256M-Instruct",
        model_types=("idefics3", "smolvlm"),
        names=r"smolvlm|idefics3",
        chat_template="smolvlm.jinja",
        processor={"size": {"longest_edge": 1024}},
        max_images=4,
        max_model_len=8192,
        verified=(
            _FLAGS_TESTED,
            _TEMPLATE_TESTED,
            "the whole protocol, on the CPU build, with a random Idefics3 checkpoint of 2 M parameters",
        ),
        documented=(
            "never trained to call tools: the grammar makes calls valid, not sensible",
            "about 350 tokens a picture (SmolVLM), 1,200 (Idefics3)",
        ),
    ),
    _INTERNVL,
    replace(
        _INTERNVL,
        name="internvl-chat",
        title="InternVL 3 and 3.5, checkpoints in their own format",
        example="OpenGVLab/InternVL3_5-4B",
        model_types=("internvl_chat",),
        names=r"internvl(?!.*-hf)",
        processor={"max_dynamic_patch": 4},
        documented=(
            *_INTERNVL.documented,
            "these checkpoints bring Python code of their own, which runs only with `-- --trust-remote-code`:"
            " prefer the -HF ones",
        ),
    ),
    Profile(
        name="gemma3",
        title="Gemma 3",
        example="google/gemma-3-4b-it",
        model_types=("gemma3",),
        names=r"gemma-?3-(?!270m|1b)",
        chat_template="gemma3.jinja",
        verified=(_FLAGS_TESTED, _TEMPLATE_TESTED),
        documented=(
            "it has no call format and vLLM no parser of its own: ours asks for the hermes form, and the grammar holds"
            " calls to it",
            "256 tokens a picture",
        ),
    ),
    Profile(
        name="gemma4",
        title="Gemma 4",
        example="google/gemma-4-E4B-it",
        model_types=("gemma4", "gemma4_unified"),
        names=r"gemma-?4-",
        tool_parser="gemma4",
        reasoning_parser="gemma4",
        strict="auto",
        processor={"max_soft_tokens": 560},
        documented=(
            "the checkpoint's own template marks pictures and lists tools; vLLM's recipe gives"
            " examples/tool_chat_template_gemma4.jinja of vLLM's sources, for --chat-template",
            "the parser has no grammar: calls are not held to their schema, and what is malformed is sent back",
            "560 tokens a picture; 70, 140, 280 and 1120 are possible",
        ),
    ),
)
GENERIC = Profile(
    name="generic",
    title="Any other model",
    example="",
    max_model_len=None,
    max_images=4,
    documented=("the hermes form of calls and the checkpoint's own template are guesses: mm4st doctor tells",),
)


def profile_named(name: str) -> Profile:
    """The profile of this name.

    Raises:
        UsageError: there is none.
    """
    for profile in (*PROFILES, GENERIC):
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in (*PROFILES, GENERIC))
    raise UsageError(f"There is no profile {name!r}.", f"Known: {known}.")


def profile_for(model: str | Path) -> Profile | None:
    """The profile of a model name, or of a checkpoint's folder by its config.json; None for an unknown family.

    A folder's config.json decides; its name only tells variants of one family apart.

    Raises:
        UsageError: a folder has no config.json, or one that cannot be read.
    """
    name, known = str(model), PROFILES
    if Path(model).is_dir():
        config = _config(Path(model))
        name = Path(model).resolve().name
        known = tuple(profile for profile in PROFILES if config.get("model_type") in profile.model_types)
    by_name = [profile for profile in known if re.search(profile.names, name, re.IGNORECASE)]
    if by_name or not Path(model).is_dir():
        return by_name[0] if by_name else None
    return known[0] if known else None


def fitted(profile: Profile, model: str | Path) -> Profile:
    """The profile with no longer a context than a local checkpoint has."""
    if profile.max_model_len is None or not Path(model).is_dir():
        return profile
    config = _config(Path(model))
    text = config.get("text_config")
    own = (text if isinstance(text, dict) else config).get("max_position_embeddings")
    return replace(profile, max_model_len=min(profile.max_model_len, own)) if isinstance(own, int) else profile


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{folder} has no config.json.", "Give the folder of a whole checkpoint.") from None
    except (OSError, ValueError) as err:
        raise UsageError(f"{path} cannot be read: {err}.", "Give the folder of a whole checkpoint.") from err
    if not isinstance(config, dict):
        raise UsageError(f"{path} is no JSON object.", "Give the folder of a whole checkpoint.")
    return config
