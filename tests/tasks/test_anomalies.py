import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from minigen.errors import UserError
from minigen.tasks import anomaly_scores, held_out_anomalies, left_out_classes, share_below
from minigen.training.systems import make_system


def bright(images):
    return images.reshape(len(images), -1).sum(axis=1)


def system(imbalance=None, **abilities):
    made = make_system({"model": "ae", "hidden": [8], "imbalance": imbalance})
    vars(made).update({"anomaly_scores": None, "latent_scores": None} | abilities)
    return made


@pytest.mark.parametrize(("imbalance", "classes"), [("3:0", [3]), ("0:0,7:0,2:0.5", [0, 7])])
def test_classes_left_out_of_training_are_the_anomalies_of_the_whole_held_out_split(imbalance, classes):
    made = system(imbalance, anomaly_scores=bright)
    found = held_out_anomalies(made)
    images, labels = made.source.load("test").arrays
    assert left_out_classes(made) == classes
    assert len(found.scores) == 360
    truth = np.isin(labels, classes)
    np.testing.assert_array_equal(found.anomalous, truth)
    assert found.auroc == pytest.approx(roc_auc_score(truth, bright(images)), abs=1e-9)
    assert found.average_precision == pytest.approx(average_precision_score(truth, bright(images)), abs=1e-9)


@pytest.mark.parametrize("imbalance", [None, "0:0.5"])
def test_without_a_class_left_out_there_are_scores_and_nothing_else(imbalance):
    found = held_out_anomalies(system(imbalance, anomaly_scores=bright))
    assert found.scores.shape == (360,)
    assert found.scores.dtype == np.float64
    assert (found.anomalous, found.auroc, found.average_precision) == (None, None, None)


def test_each_score_is_the_systems_own_and_one_that_is_not_there_is_refused():
    images = np.zeros((3, 1, 8, 8), np.float32)
    both = system(anomaly_scores=bright, latent_scores=lambda x: bright(x) + 1)
    assert anomaly_scores(both, images).tolist() == [0, 0, 0]
    assert anomaly_scores(both, images, "latent").tolist() == [1, 1, 1]
    with pytest.raises(UserError, match="cannot score anomalies by latent \\(only by reconstruction\\)"):
        anomaly_scores(system(anomaly_scores=bright), images, "latent")
    with pytest.raises(UserError, match="Unknown score 'laten': did you mean 'latent'"):
        anomaly_scores(both, images, "laten")
    with pytest.raises(UserError, match="'ae' cannot score anomalies;"):
        anomaly_scores(system(), images)


def test_the_share_of_the_reference_below_counts_no_ties():
    assert share_below(np.array([1.0, 2.5, 0.0, 9.0]), np.array([2.0, 1.0, 3.0, 1.0])).tolist() == [0, 0.75, 0, 1]
