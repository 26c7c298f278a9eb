"""`minigen bench cuda`: how fast the CUDA kernels and the training steps made of them are, beside cuDNN and PyTorch.

The rungs of the ladder, the production kernels against cuDNN, training steps eager and captured, and their memory. One
command on a machine with an NVIDIA GPU writes the whole report; elsewhere the tables say "not measured".

- `cases`: what is measured, and the goals; `roofline`: what a GPU could do;
- `ours`, `theirs`: the same work in minigen and in PyTorch; `copying`: the kernel that measures the memory's bandwidth;
- `timing`: seconds from CUDA events; `worker`: the process that measures one side; `rounds`: the one that asks in turns;
- `report`, `picture`: tables, Markdown and the roofline; `command`: the command line.
"""

from minigen.bench.cuda.command import add_arguments, run
