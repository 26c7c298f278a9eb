"""How good is what a model makes? NumPy arrays in, plain numbers out.

Distances between sets of features (`frechet_distance`, `kernel_distance`, `squared_mmd`, `precision_recall`,
`density_coverage`, `nearest_neighbour_accuracy`) take any features: `features.pixel_features`, those of
`classifier.train_classifier`, or `inception.inception_features` with published weights, and only then are they FID and
KID. `generation_report` gives them all.
"""

from minigen.metrics.bleu import corpus_bleu
from minigen.metrics.bounds import active_units, elbo, iwae_bound, kl_per_dimension
from minigen.metrics.classifier import Classifier, class_probabilities, classifier_features, train_classifier
from minigen.metrics.coverage import class_coverage
from minigen.metrics.features import pixel_features
from minigen.metrics.frechet import frechet_distance, frechet_from_statistics
from minigen.metrics.inception import inception_features
from minigen.metrics.inception_score import inception_style_score
from minigen.metrics.kernel import kernel_distance, median_distance, squared_mmd
from minigen.metrics.manifold import density_coverage, precision_recall
from minigen.metrics.modes import mode_radius, mode_report
from minigen.metrics.pca import pca_error
from minigen.metrics.report import generation_report
from minigen.metrics.restoration import ms_ssim, psnr, psnr_of_mse, ssim
from minigen.metrics.two_sample import nearest_neighbour_accuracy
