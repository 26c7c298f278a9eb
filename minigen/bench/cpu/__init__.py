"""`minigen bench cpu`: how fast we train on the CPU, beside PyTorch eager on the same cores.

Training steps of six models, the convolutions that they are made of, how a step grows with the batch and the image, and
how much memory it takes. PyTorch has the same networks, each side a process of its own with as many threads, in turns;
what counts is the median of the rounds' ratios, and of PyTorch's two memory formats the better.

- `cases`: what is measured; `given`: what the command line names in its place;
- `ours`, `theirs`: what each side calls (the steps are in `minigen.bench.steps`, the convolutions beside it);
- `worker`: the process that measures one side; `rounds`: the one that has both measured in turns;
- `report`: tables and picture; `command`: the command line.
"""

from minigen.bench.cpu.command import add_arguments, run
