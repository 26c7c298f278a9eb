"""The command line: `minigen train | sample | evaluate | gradcheck | info`."""
