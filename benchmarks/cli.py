"""`cook-bench`: a group of verbs, each a module of its own that is imported when it is asked for."""

import pkgutil
from pathlib import Path

import click

from cookseg.runtime.errors import MissingExtraError, require_extra
from cookseg.runtime.terminal import console, params

VERBS = {
    "latency": ("latency", "Measure latency from an image file to its mask."),
    "soak": ("soak", "Predict for long, with faults in between; nothing may grow."),
    "camvid": ("camvid", "Train, export, evaluate and time U-Nets on CamVid."),
    "start": ("start", "Time the start of cook-train on a dataset."),
    "training-speed": ("training_speed", "Train beside a plain loop, in turns."),
}
"""Module and help of each verb; the help stands here, so that listing the verbs needs no torch."""


class _Verbs(console.Group):
    """The group of `VERBS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in VERBS:
            return None
        try:
            with require_extra("export"):
                command: click.Command = pkgutil.resolve_name(f"cookseg.benchmarks.{VERBS[cmd_name][0]}:main")
        except MissingExtraError as error:
            raise click.ClickException(str(error)) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the group's own options; refuse those of the time when there were no verbs."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            ctx.fail(
                f"{error.format_message()} Options follow a verb: cook-bench latency MODEL {error.option_name} ..."
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; where a model is named instead, name the verb that is meant."""
        first = args[0]
        if first not in VERBS and (first == "starter" or Path(first).suffix == ".onnx" or Path(first).exists()):
            ctx.fail(f"cook-bench is a group of commands: this one is cook-bench latency {first}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Verbs,
    epilog="Examples: cook-bench latency model.onnx   |   cook-bench latency model.onnx --compare   | "
    "  cook-bench soak model.onnx --predictions 1000000",
)
@params.version_option
def main() -> None:
    """Measure what models and training cost on this machine."""
