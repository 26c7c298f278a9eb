"""How good is what a model makes?"""

from minigen.metrics.coverage import class_coverage
from minigen.metrics.pca import pca_error, psnr
