import numpy as np
from PIL import Image

from minigen.demos import posterior_collapse
from minigen.random import default_generator


def test_a_mean_over_the_pixels_collapses_the_posterior_and_free_bits_keep_every_dimension():
    state = default_generator.get_state()
    mean, free = posterior_collapse.train(per_pixel=True, epochs=12), posterior_collapse.train(free=0.5, epochs=12)
    assert default_generator.get_state() == state
    assert mean.active == 0
    assert mean.kl.sum() < 0.05
    assert np.ptp(mean.reconstructions, axis=0).max() < 0.05  # every digit comes back as the same picture
    assert free.active == posterior_collapse.LATENT_DIM
    assert np.ptp(free.reconstructions, axis=0).max() > 0.3
    assert free.error < 0.7 * mean.error


def test_the_picture_is_written_where_it_was_asked_for(tmp_path, capsys):
    out = tmp_path / "x.png"
    assert posterior_collapse.run(out, quiet=True, epochs=1) == out
    assert capsys.readouterr().out == ""
    with Image.open(out) as picture:
        assert picture.width > 1000
