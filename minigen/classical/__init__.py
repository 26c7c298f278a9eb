"""The classical models: Gaussians and their mixtures, naive Bayes, k-means, DBSCAN, and how to choose among them.

Names are scikit-learn's, of what there is; chance comes from a `generator`, as everywhere here, and not from a
`random_state`. The algorithms are written out here, in NumPy and float64.
"""

from minigen.classical.agreement import adjusted_rand_score, cluster_purity, normalized_mutual_info_score
from minigen.classical.criteria import aic, bic
from minigen.classical.dbscan import DBSCAN
from minigen.classical.em import (
    COVARIANCE_TYPES,
    MixtureParameters,
    expectation,
    kmeans_responsibilities,
    maximization,
)
from minigen.classical.gaussian import Gaussian, MultivariateNormal
from minigen.classical.gradient_mixture import GradientMixture, fit_by_gradient
from minigen.classical.kmeans import KMeans, kmeans_plus_plus
from minigen.classical.mixture import GaussianMixture
from minigen.classical.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from minigen.classical.selection import Choice, choose_components, cross_validate
