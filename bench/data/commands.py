"""placeholder until the branch arrives"""

import typer

app = typer.Typer()


@app.command("list")
def l() -> None:
    "x"
