"""The files of the MNIST dataset, compressed, for `lenet.datasets.mnist`.

MNIST is by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, under CC BY-SA 3.0.
"""
