"""One real vLLM server for all tests here: it serves a tiny random vision-language model made on the spot."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mm4st_agent.agent.backends.profiles import profile_for, profile_named
from mm4st_agent.agent.backends.serve import ENVIRONMENT, running_server, server_command, server_environment
from mm4st_agent.agent.backends.wire import strict_tool
from tools import ALL_TOOLS

MODEL_NAME = "tiny-idefics3"
IMAGE_SIZE, PATCH_SIZE, SCALE_FACTOR = 192, 16, 2
IMAGE_TOKENS = (IMAGE_SIZE // PATCH_SIZE) ** 2 // SCALE_FACTOR**2
MAX_IMAGES = 2

# Idefics3's tokens around a picture; the processor looks all of them up, also those of split pictures.
PICTURE_TOKENS = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"] + [
    f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)
]

QUICK_START = ("--enforce-eager", "--skip-mm-profiling")
"""Compiling the model and trying out the largest batch of pictures would take longer than all tests."""

PROFILE = profile_named("smolvlm")
"""As `mm4st serve-vlm` serves such checkpoints, with the template that ships."""


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        url: Its OpenAI-compatible root.
        model: The model's name there.
        picture_tokens: What one picture adds to a prompt: its features, the tag before them, a mark at either end.
        max_images: Pictures that one request may hold.
        tool_call_token: The token that opens a tool call.
        stop: Ends the server.
    """

    url: str
    model: str
    picture_tokens: int
    max_images: int
    tool_call_token: int
    stop: Callable[[], None]


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random `Idefics3ForConditionalGeneration` of about 2 M parameters."""
    import torch
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    folder = tmp_path_factory.mktemp("checkpoints") / MODEL_NAME
    tokenizer = _tokenizer()
    image_processor = Idefics3ImageProcessorPil(
        size={"longest_edge": IMAGE_SIZE}, max_image_size={"longest_edge": IMAGE_SIZE}, do_image_splitting=False
    )
    processor = Idefics3Processor(image_processor, tokenizer, image_seq_len=IMAGE_TOKENS)
    config = Idefics3Config(
        vision_config={
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 16384,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_id=processor.image_token_id,
        scale_factor=SCALE_FACTOR,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer():
    """Byte-level BPE, learnt from our tools and a little more JSON: any text has tokens, usual ones few."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    lines = [json.dumps(strict_tool(tool.to_json())) for tool in ALL_TOOLS]
    lines += ["How much traffic will station 1205330 carry over the next hour, and why?"]
    lines += [
        json.dumps({"type": "object", "properties": {"steps": {"type": "integer", "minimum": n}}}) for n in range(9)
    ]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *PICTURE_TOKENS]
    tokenizer.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=1024,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    # One token opens a call, so that a bias can; several close it, so that chance does not within a string.
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        pad_token="<|endoftext|>",
    )


@pytest.fixture(scope="session")
def served(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server; it is up once for the whole session."""
    from tokenizers import Tokenizer

    if not (ENVIRONMENT / "bin" / "python").exists():
        pytest.skip(f"{ENVIRONMENT.name} does not exist; `make test-vllm` makes it")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    assert profile_for(tiny_checkpoint) == PROFILE
    command = server_command(
        tiny_checkpoint, PROFILE, port=port, max_images=MAX_IMAGES, max_model_len=16384, more=QUICK_START
    )
    environment = server_environment(tiny_checkpoint, kv_cache_gib=1)
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    tokenizer = Tokenizer.from_file(str(tiny_checkpoint / "tokenizer.json"))
    with ExitStack() as server:
        server.enter_context(running_server(command, environment, url=url, log=log))
        yield Served(
            url=url,
            model=MODEL_NAME,
            picture_tokens=IMAGE_TOKENS + 3,
            max_images=MAX_IMAGES,
            tool_call_token=tokenizer.token_to_id("<tool_call>"),
            stop=server.close,
        )
