"""CUDA kernels in Numba, and the ground they stand on. Importing this package imports nothing of Numba.

kernel       what a kernel is: a Python function, its arguments, its grid and block
intrinsics   GPU instructions that Numba lacks, each with its twin in Python
simulator    runs a kernel in Python, thread by thread, and faults where a GPU would be silently wrong
build        compiles a kernel to machine code for an architecture, and keeps it on disk
production   what the devices `cuda` and `cudasim` compute with:
  convolution, products           arrays in, arrays out
  activation, normalization, loss, sums       what takes one pass or two over memory, with its kernels
  philox, updates                 random bits; steps of optimizers, all parameters in one launch
  implicit_gemm, weight_gradient, depthwise   their kernels
  correlation, tiles, quads       what these kernels are made of
  implicit_gemm_tf32, weight_gradient_tf32, tensor_cores      the same in TF32
  precision                       whether that is chosen
  memory, running                 how arrays lie in memory, and where a kernel runs
ladder       one convolution in many versions, from one thread per output to tensor cores
catalogue    the kernels whose registers, shared memory and spills are on record
resources    the command that writes that record
"""
