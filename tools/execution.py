"""Run the cells of a notebook, for the programs that store or time notebooks.

It imports no file beside it, so that it can be imported from any folder.
"""

from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode

SECONDS_PER_CELL = 600


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run all cells in a fresh kernel, with `folder` as its working directory."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
