import streamlit as st
st.title('pieces')
