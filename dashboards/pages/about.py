"""How to cite, how to enter a model, what the server knows of its visitors."""

from datetime import UTC, datetime

import streamlit as st

import bench
from dashboards.views import sources

CITATION = f"""@software{{musicbench,
  title   = {{musicbench: a benchmark of symbolic-music generators}},
  author  = {{{{The musicbench authors}}}},
  version = {{{bench.__version__}}},
  year    = {{{datetime.now(UTC).year}}},
}}"""

st.title("About")
st.markdown(
    "musicbench trains generators of symbolic music on the same data, lets each continue the same"
    " prompts, and scores the continuations. Noise is skill 0 and human music is skill 1;"
    " figures have intervals where their samples can be resampled."
)

st.header("How to read the board")
st.markdown(
    "- **Skill** is one scale for all metrics: 0 is noise, 1 is what the composer wrote; below 0 means"
    " worse than noise. It is the mean over metrics, each bounded. Their four questions have means of"
    " their own: is it likely music, are its notes and chords human, is its form, does it belong to"
    " its prompt? A metric that does not separate the systems on a data set does not count there.\n"
    "- **Rank** is one more than the number of systems that are significantly better.\n"
    "- **Loss** is nats per step on held-out music; lower is better. The loss on notes and the loss"
    " on keys describe different things and are never compared.\n"
    "- **A blank cell** means that there is no value. It never means zero.\n"
    "- **Preset** says how much was spent on training. Rows of different presets are never ranked"
    " together."
)

st.header("How to cite")
st.code(CITATION, language="bibtex")
digest = sources.board().digest
if digest:
    st.markdown("This board, by the SHA-256 of its file:")
    st.code(digest, language=None)
st.markdown("Cite the paper of each system and data set as well: their cards have the citations.")

st.header("How to enter a model")
st.markdown("As a Python class with five methods:")
st.code(
    "bench check mine.py:MyModel\nbench all --systems mine.py:MyModel,noise,human", language="sh"
)
st.markdown("Or as a folder of MIDI files, made wherever you like:")
st.code(
    "bench prompts prompts --data chorales\n"
    "# continue each prompt into a file of the same name in my_samples/\n"
    "bench score my_samples --data chorales --name my-model",
    language="sh",
)

st.header("Privacy")
st.markdown(
    "This dashboard runs on the machine that it was started on and asks no other machine for"
    " anything: no fonts, no scripts, no statistics. It sets one cookie that protects its forms and"
    " keeps no record of who looks at what. It reads the board and the run folder and changes"
    " neither; rendered audio is kept in the cache folder.\n\n"
    "A listening survey keeps what its listeners answer, under a code and without name, address or"
    " browser: its consent page says what, for how long, and how to withdraw."
)
st.caption(
    f"musicbench {bench.__version__}, MIT licence. The music and the soundfont keep their own."
)
