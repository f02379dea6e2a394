"""`hunmin VERB …`: a table of verbs; only the chosen one is imported."""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Sequence

import click

import hunmin
from hunmin.core.atomic import is_disk_full
from hunmin.core.errors import HunminError, suggest
from hunmin.core.logs import rank

# What a path that the user named can be: forbidden, read-only, in a file, a folder, too long.
_USER_PATH_ERRORS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}

# verb: module, help line
VERBS: dict[str, tuple[str, str]] = {
    "run": ("run", "Run a recipe from raw text to a model that speaks."),
    "corpus": ("corpus", "Raw sources to clean documents, with a report."),
    "tokenizer": ("tokenizer", "Train a tokenizer, or look at what it does."),
    "data": ("stage_data", "Documents and tokenizer to token shards."),
    "train": ("stage_train", "Train a model, or go on training."),
    "plan": ("plan", "Choose a layout; tell its speed, memory, time and cost."),
    "launch": ("launch", "Write what starts training on several devices or nodes."),
    "evaluate": ("stage_evaluate", "Score a model beside two baselines."),
    "generate": ("generate", "Let a model write on from a prompt."),
    "distill": ("distill", "Trim a vocabulary; text from a teacher for students."),
    "finetune": ("finetune", "Teach a model intents and slots."),
    "export": ("export", "Write a trained model for another runtime."),
    "ask": ("ask", "Say what a model understands of a text."),
    "chat": ("chat", "Talk with a model on the terminal."),
    "serve": ("serve", "Serve a model over an OpenAI-compatible API."),
    "samples": ("samples", "Sample real voice-assistant utterances in 60+ languages."),
    "runs": ("runs", "List, show and plot runs."),
    "inspect": ("inspect", "Say what an artifact is and what it was made from."),
    "doctor": ("doctor", "Say what this machine has, and how to install what is missing."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order people meet them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a verb and return its command."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"hunmin.cli.{VERBS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a verb, or name the nearest one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"No such verb '{args[0]}'.{suggest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(hunmin.__version__, prog_name="hunmin")
@click.option("--verbose", is_flag=True, help="Show debug lines too.")
def cli(verbose: bool) -> None:
    """Language models for every language: from raw text to a working assistant.

    \b
    hunmin run recipes/quickstart.yaml          everything, from text to a model
    hunmin run RECIPE train.duration="2M tokens"  with another value
    hunmin run RECIPE --dry-run                 what would be done, and why
    hunmin VERB --help                          what a verb can do

    What changes the result is in the recipe; what changes the invocation is a flag. Results are
    printed to stdout, everything else to stderr. Exit codes: 0 good, 1 failed, 2 your input.
    """
    from hunmin.core.logs import set_up_logging

    set_up_logging(verbose=verbose)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code.

    Args:
        arguments: Words after `hunmin`; those of the process by default.
    """
    sys.exit(run_cli(arguments))


def run_cli(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after `hunmin`; those of the process by default.

    Returns:
        Exit code: 0 good, 1 failed, 2 the user's input.
    """
    try:
        answer = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="hunmin",
            standalone_mode=False,
        )
    except click.exceptions.Abort:
        return _say("interrupted; what was reported saved is saved", 1)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HunminError as error:
        return _say(_in_short(error) if rank() > 0 else f"error: {error}", error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted; what was reported saved is saved", 1)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except MemoryError:
        return _say("error: out of memory\n  next:    give the run smaller batches or documents", 1)
    except OSError as error:
        return _explain_os_error(error)
    return answer if isinstance(answer, int) else 0


def _explain_os_error(error: OSError) -> int:
    """Disks and paths deserve a line; anything else is a fault of hunmin and is raised."""
    place = f"{error.filename}: " if error.filename is not None else ""
    if is_disk_full(error):
        return _say(f"error: {place}no space left while writing", 1)
    if error.errno in _USER_PATH_ERRORS:
        return _say(f"error: {place}{error.strerror}\n  next:    name another path", 2)
    raise error


def _in_short(error: HunminError) -> str:
    """What other ranks than the first have to say: mostly the same, so in one line."""
    return f"[rank {rank()}] error: {str(error).splitlines()[0]}"


def _say(message: str, exit_code: int) -> int:
    click.echo(message, err=True)
    return exit_code
