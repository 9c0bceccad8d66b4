// Record batches as librdkafka 2.16.0 (confluent-kafka for Python) wrote them to a broker, read from it byte by byte: the fetch's own bytes. Each
// record `i` has key `k<i>`, 4000 + i characters, time 1700000000000 + i and the headers `name` (é) and `n`.

/** A whole batch, base64; 40 records, of Snappy 10. Its LZ4 has independent blocks, its Snappy no frame, its Zstandard no content size. */
export const ofLibrdkafka = {
  gzip:
    'AAAAAAAAAAAAAAVOAAAAAAJllCRQAAEAAAAnAAABi8/laAAAAAGLz+VoJ///////////////////AAAAKB+LCAAAAAAAAAPt1+/nXnUcx/GPr+NrZmZmZmbma2ZmZq5zzvVz5vrMzMzM' +
    '/ofVNnJqY39BZmZmJkmSJEkqSZIk3UglSZIkSZIkmZmZmZlJ5851XOfG5+453xuPu8+H9/v+6/Y8hJBVgy/ml88/fenyubXB2qULa88+89Tlc9XZC9XZQ2u6ruu6ruu6ruu6rnfXsw0X' +
    'zz53Pvvq3ZWLK4M787CyklX5l4vZnifOdV3XdV3XdV3XdV3voi/v9vzuPGRZVhVfL3Z7kbjXdV3XdV3XdV3Xdb2Tvjzci3vzsLqaVeU3i+FeJh7ouq7ruq7ruq7rut5NX17u5f152LAh' +
    'q4bfLpb7MPFB13Vd13Vd13Vd1/WO+vJ0Hz6Yh40bs2r03WK6jxIvdF3XdV3XdV3XdV3vqi9v99HDedi0KavG3y+2+zjxQ9d1Xdd1Xdd1Xdf1zvryeB8/mofNm7Nq8sNivE8ST3Rd13Vd' +
    '13Vd13Vd764vr/fJ43nYsiWrpj8u1vs08UXXdV3XdV3XdV3X9Q778nyfPpmHrVuzavbTYr7PEm90Xdd1Xdd1Xdd1Xe+yL+/32ZUYtm1brfLBz4sBnw8SnwAAAAAAAAAAANAlLC34LB9c' +
    'jWH79nrC5780Ez5P3QIAAAAAAAAAAKBLaG34/FoMO3bUG774tdnwReoYAAAAAAAAAAAAnUJrxBfXY9i5sx7x5W/NiC9T1wAAAAAAAAAAAOgWWiu+vBHDrl31ih/+3qz4YeocAAAAAAAA' +
    'AAAAHUNrxg9vxrB7dz3jR380M36UugcAAAAAAAAAAEDX0Nrxo1sxrK3VO378Z7Pjx6kHAAAAAAAAAAAA6BxaQ378Qgx79tRDfvJXM+QnqQ8AAAAAAAAAAADoHlpLfvJiDHv31kt++nez' +
    '5KepFwAAAAAAAAAAAOgBWlN++lIM+/bVU372TzPlZ6kfAAAAAAAAAAAA6ANaW372cgz7969WxeDfxZYvBoknAAAAAAAAAAAA6AeWx3wxeCWGAwfqMZ/fbsZ8nvoCAAAAAAAAAACAfqC1' +
    '5vNXYzh4sF7zxZ1mzRepNwAAAAAAAAAAAOgJWnO+eC2GQ4fqOV/ebeZ8mfoDAAAAAAAAAACAvqC158vXYxgM6j0/vNfs+WHqEQAAAAAAAAAAAHqD1qAfvhFDUdSDfnS/GfSj1CcAAAAA' +
    'AAAAAAD0B61FP3ozhuGwXvTjB82iH6deAQAAAAAAAAAAoEdoTfrxWzGMx/WknzxsJv0k9QsAAAAAAAAAAAB9QmvTT96OYTqtN/30UbPpp6lnAAAAAAAAAAAA6BVao376TgyHD9ejfva4' +
    'GfWz1DcAAAAAAAAAAAD0C61VP3svhiNHVqty8GSx6stB4h0AAAAAAAAAAAD6huVZXw7ej2E+r2d9/l8z6/PUPwAAAAAAAAAAAPQNrV2ffxDD0aP1ri+ej4u7IvUQAAAAAAAAAAAAvUNr' +
    '2BcfxnDsWD3syyvNsC9THwEAAAAAAAAAANA/tJZ9+VEMx4/Xy354tVn2w9QlAAAAAAAAAAAA1gG0pv3w4xhOnKin/ehaM+1HqVMAAAAAAAAAAACsB2ht+9EnMZw8WW/78fVm249TtwAA' +
    'AAAAAAAAAFgX0Br3409jOHWqHveTG824n6SOAQAAAAAAAAAAsD6gte4nn8Vw+nS97qc3m3U/TV0DAAAAAAAAAABgnUBr3k8/j+HMmXrez241836WOgcAAAAAAAAAAMB6gda+n/0PN4o1' +
    'e+B3AgA=',
  snappy:
    'AAAAAAAAAAAAAAiPAAAAAAISwQYYAAIAAAAJAAABi8/laAAAAAGLz+VoCf//////////////////AAAACtO6ApDqPgAAAARrMMA+cmVjb3JkIDAgb2YgbGlicmRrYWZrYS4gcmVj/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgABRhUBAhuYW1lBMOpAm4CMOw+AAICBGsxwh63' +
    'DwAxWrcP/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA7hgACRguuA8kMe4+AAQEBGsyxB64' +
    'DwAyWrgP/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA7hgADRguuQ8kMvA+AAYGBGszxh65' +
    'DwAzWrkP/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgAARguug8kM/I+AAgIBGs0yB66' +
    'DwA0WroP/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgABRguuw8kNPQ+AAoKBGs1yh67' +
    'DwA1WrsP/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgACRguvA8kNfY+AAwMBGs2zB68' +
    'DwA2WrwP/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgADRguvQ8kNvg+AA4OBGs3zh69' +
    'DwA3Wr0P/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgAERguvg8kN/o+ABAQBGs40B6+' +
    'DwA4Wr4P/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgAFRguvw8kOPw+ABISBGs50h6/' +
    'DwA5Wr8P/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA' +
    '/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgA/hgAGRgwBAhuYW1lBMOpAm4COQ==',
  lz4:
    'AAAAAAAAAAAAAAcgAAAAAAIxsgBFAAMAAAAnAAABi8/laAAAAAGLz+VoJ///////////////////AAAAKAQiTRhgQIK9AgAA/xPqPgAAAARrMMA+cmVjb3JkIDAgb2YgbGlicmRrYWZr' +
    'YS4gGAD///////////////////+E9AcECG5hbWUEw6kCbgIw7D4AAgIEazHCtw8fMbcPBA8YAP///////////////////34IuA+kMe4+AAQEBGsyxLgPHzK4DwQPGAD/////////////' +
    '//////9/CLkPpDLwPgAGBgRrM8a5Dx8zuQ8EDxgA////////////////////gAi6D6Qz8j4ACAgEazTIug8fNLoPBA8YAP///////////////////4EIuw+kNPQ+AAoKBGs1yrsPHzW7' +
    'DwQPGAD///////////////////+CCLwPpDX2PgAMDARrNsy8Dx82vA8EDxgA////////////////////gwi9D6Q2+D4ADg4EazfOvQ8fN70PBA8YAP///////////////////4QIvg+k' +
    'N/o+ABAQBGs40L4PHzi+DwQPGAD///////////////////+FCL8PpDj8PgASEgRrOdK/Dx85vw8EDxgA////////////////////hgjAD7Q5gj8AFBQGazEw1MEPHzFVnQUPGQD/////' +
    '//////////////+GB8IP1QQxMIQ/ABYWBmsxMdbDDw9JnQYPGQD///////////////////+GCcQPtTGGPwAYGAZrMTLYxA8PVZ0FDxkA////////////////////iAnFD7UyiD8AGhoG' +
    'azEz2sUPD2GdBQ8ZAP///////////////////4kJxg+1M4o/ABwcBmsxNNzGDw9tnQUPGQD///////////////////+KCccPtTSMPwAeHgZrMTXexw8PeZ0FDxkA////////////////' +
    '////iwnID7U1jj8AICAGazE24MgPD4WdBQ8ZAP///8xQZmthLiDBAgAA/wpyZWNvcmQgMTYgb2YgbGlicmRrYWZrYS4gGQD//////////////470CgQIbmFtZQTDqQJuBDE2kD8AIiIG' +
    'azE34j6vCx83yAsFDxkA////////////////////jAnKD7U3kj8AJCQGazE45MoPHzjKDwUPGQD///////////////////+NCcsPtTiUPwAmJgZrMTnmyw8fOcsPBQ8ZAP//////////' +
    '/////////44JzA+0OZY/ACgoBmsyMOjMDy8yMMwPBA8ZAP///////////////////5AIzQ/FMjCYPwAqKgZrMjHqzQ8fMc0PBQ8ZAP///////////////////5AJzg+1MZo/ACwsBmsy' +
    'MuzODx8yzg8FDxkA////////////////////kQnPD7UynD8ALi4GazIz7s8PHzPPDwUPGQD///////////////////+SCdAPtTOePwAwMAZrMjTw0A8fNNAPBQ8ZAP//////////////' +
    '/////5MJ0Q+1NKA/ADIyBmsyNfLRDx810Q8FDxkA////////////////////lAnSD7U1oj8ANDQGazI29NIPDwaaBQ8ZAP///////////////////5YJ0w+1NqQ/ADY2BmsyN/bTDw/4' +
    'nQUPGQD///////////////////+XCdQPtTemPwA4OAZrMjj41A8PAp4FDxkA////////////////////mAnVD7U4qD8AOjoGazI5+tUPDwyeBQ8ZAP///////////////////5kJ1g+0' +
    'Oao/ADw8BmszMPzWDx8zL54FDxkA////////////////////mgjXD8UzMKw/AD4+BmszMf7XDw8gngUPGQD///////////////////+bCdgPwzGuPwBAQAZrMzKAPz/tHzMqngUPGQD/' +
    '///////HUGQgMzIgWgEAAP8Kb2YgbGlicmRrYWZrYS4gcmVjb3JkIDMyIBkA//////////+j9AoECG5hbWUEw6kCbgQzMrA/AEJCBmszM4I/0QgfM9EIBQ8ZAP//////////////////' +
    '/5wJ2g+1M7I/AEREBmszNITaDx802g8FDxkA////////////////////nQnbD7U0tD8ARkYGazM1htsPHzXbDwUPGQD///////////////////+eCZEvtTW2PwBISAZrMzaI3A8fNtwP' +
    'BQ8ZAP///////////////////58J3Q+1Nrg/AEpKBmszN4rdDx833Q8FDxkA////////////////////oAneD7U3uj8ATEwGazM4jN4PHzjeDwUPGQD///////////////////+hCd8P' +
    'tTi8PwBOTgZrMzmO3w8fOd8PBQ8ZAP///////////////////6IF4A9QAm4EMzkAAAAA',
  zstd:
    'AAAAAAAAAAAAAAREAAAAAAL4LGkmAAQAAAAnAAABi8/laAAAAAGLz+VoJ///////////////////AAAAKCi1L/0AWBwbAPb4iTYAWZLhrubm1dy8mptXc0r672ZFsHk1N6/2/2Ejhx3x' +
    '////K+pSW2utNZlSXg33am5e1CZJu3ahAEAAWQCqqqqqqqqqqqqqqqqqqmoRXZEBA2oSIQkRkVxRgQJqCuHxDPEsiAAB9cHS6QjpLGjAAPW5wuEE4SxIgAD1sbLZANksKEAA9ami0fzQ' +
    'LAgAAPWhksn4yCzIxUV9pmw9tqAoUh8pz+MFQZD6RFEdLqilRX2gSC0eWmrsgDJ0qODBBcJEqLA0VFgYPljYwAGj4QUjYTB8eLmQ4cMnh7QgpdTnSf//////////////////////////' +
    '//////////8b2RUdOKCmEb5gVFVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVTUJEqipxLZt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt27Zt' +
    '27Zt247MFSFAoCYSa3jB/P//////////////B08g3oooUFATDs3iVvT5qOmGNGlYpK1owgQ12fB4rnhekQQJaqLR6VjpvKJOR00zOJwqnFe02ahJxmZDZfOKMhk1xdBopmhe0asJRiYj' +
    'JfOKJElNL7Yoe0URIqjJxUP5FUGAoKYW+sRX9OCBmlhISzuRXpEDB2pa4fE08biiBg3UpKLTYdJxRQwYqCkFh7OE44oWLFATis1GycYVYTBqOqHRJNG4IgUK1GQik0GScUUBgluo0pCL' +
    'KLfKzhqCj8p6DhJIEIhQCBCGIngHfP5/ddWiITPcfsjm/3Ew1P6SzTsfmDRH9gky//wqiP0D5i+vH6+vuLz1i6H1D5a/vH6svqLy1i+G1D9Q/vL6cfqKyVu/GEr/IPnL68foKyJv/Ysh' +
    '9JdE3vnApDmeT/D451dB5x8cf3n92HxF461fDJl/YPzl9ePyFYu3fjFU/kHxl9ePyd8pwHKHj1t86uSTR69ctuPSXXX60chvsrjhYw0fW+zYYhcX17iMEsVx/CLZXrRpo8saPc7wsUaP' +
    'DS/M+Md88R3ow3NlsDqtH0EbzXj4y4d3wm3lFf4qwzsw1LzBX1V4B4YrL/BXEd6Boeb9/arBOzBceX2/SvAODDVv71cF3oHhysv7VYB3YKh5d7/q707CEN2js1aFX0elFSUFAGIFFByg' +
    'tTn/f7P+l97duy+UqeLe3bsnaEREhKwqFqoyjCnsvXMqD9ZK1nulVBYohaj3xqgcSOlI74VQGYCQgd77nnJzTnHe65wy8xN/b2vKizAEHgDjhweMHvgAwAWaix8eIXrgAwAXaB5+eETo' +
    'gQ8AXKA5+OERoAc+AHCB5t+HR3we+ADABZp7Hx7heeADABdo3n14ROeBDwBcoDn34RHD8MEV',
} as const

/** The records of the first batch, compressed by others (python-lz4, python-zstandard), base64. */
export const ofOthers = {
  /** Blocks that refer to those before, a checksum for each and for all, content size. */
  lz4Linked:
    'BCJNGFxA4HcCAAAAAAAMvgIAAP8T6j4AAAAEazDAPnJlY29yZCAwIG9mIGxpYnJka2Fma2EuIBgA////////////////////hPQHBAhuYW1lBMOpAm4CMOw+AAICBGsxwrcPHzG3DwQP' +
    'GAD///////////////////9+CLgPpDHuPgAEBARrMsS4Dx8yuA8EDxgA////////////////////fwi5D6Qy8D4ABgYEazPGuQ8fM7kPBA8YAP///////////////////4AIug+kM/I+' +
    'AAgIBGs0yLoPHzS6DwQPGAD///////////////////+BCLsPpDT0PgAKCgRrNcq7Dx81uw8EDxgA////////////////////ggi8D6Q19j4ADAwEazbMvA8fNrwPBA8YAP//////////' +
    '/////////4MIvQ+kNvg+AA4OBGs3zr0PHze9DwQPGAD///////////////////+ECL4PpDf6PgAQEARrONC+Dx84vg8EDxgA////////////////////hQi/D6Q4/D4AEhIEaznSvw8f' +
    'Ob8PBA8YAP///////////////////4YIwA+0OYI/ABQUBmsxMNTBDy8xMMIPBA8ZAP///////////////////4YHXp3VBDEwhD8AFhYGazEx1sMPD0mdBg8ZAP//////////////////' +
    '/4YJxA+1MYY/ABgYBmsxMtjEDw9VnQUPGQD///////////////////+ICcUPtTKIPwAaGgZrMTPaxQ8PYZ0FDxkA////////////////////iQnGD7Uzij8AHBwGazE03MYPD22dBQ8Z' +
    'AP///////////////////4oJxw+1NIw/AB4eBmsxNd7HDw95nQUPGQD///////////////////+LCcgPtTWOPwAgIAZrMTbgyA8PhZ0FDxkA////zFBma2EuIHFc3AqXAgAAA/b/D+gD' +
    '//////////////+gCckPtTaQPwAiIgZrMTfiyQ8PkZ0FDxkA////////////////////jQnKD7U3kj8AJCQGazE45MoPD52dBQ8ZAP///////////////////44Jyw+1OJQ/ACYmBmsx' +
    'OebLDx85/40FDxkA////////////////////jgnMD7Q5lj8AKCgGazIw6MwPLzIwzA8EDxkA////////////////////kAjVncUyMJg/ACoqBmsyMerNDw+8nQUPGQD/////////////' +
    '//////+RCc4PtTGaPwAsLAZrMjLszg8Pxp0FDxkA////////////////////kgnPD7UynD8ALi4GazIz7s8PD9CdBQ8ZAP///////////////////5MJ0A+1M54/ADAwBmsyNPDQDw/a' +
    'nQUPGQD///////////////////+UCdEPtTSgPwAyMgZrMjXy0Q8P5J0FDxkA////////////////////lQnSD7U1oj8ANDQGazI29NIPD+6dBQ8ZAP///////////////////5YJ0w+1' +
    'NqQ/ADY2BmsyN/bTDw/4nQUPGQD///////////////////+XCdQPtTemPwA4OAZrMjj41A8PAp4FDxkA////////////////////mAnVD7U4qD8AOjoGazI5+tUPDwyeBQ8ZAP//////' +
    '/////////////5kJ1g+0Oao/ADw8BmszMPzWDx8zL54FDxkA////////////////////mgg5nsUzMKw/AD4+BmszMf7XDw8gngUPGQD///////////////////+bCdgPwzGuPwBAQAZr' +
    'MzKAPwf5HzMqngUPGQD////////HUGQgMzIgJXhOuz0BAAD/AG9mIGxpYnJka2Fma2EuIAgH//////////+tCdkPtTKwPwBCQgZrMzOC2Q8PNJ4FDxkA////////////////////nQna' +
    'D7Uzsj8AREQGazM0hNoPDz6eBQ8ZAP///////////////////54J2w+1NLQ/AEZGBmszNYbbDw9IngUPGQD///////////////////+fCdwPtTW2PwBISAZrMzaI3A8PUp4FDxkA////' +
    '////////////////oAndD7U2uD8ASkoGazM3it0PD1yeBQ8ZAP///////////////////6EJ3g+1N7o/AExMBmszOIzeDw9mngUPGQD///////////////////+iCd8PtTi8PwBOTgZr' +
    'MzmO3w8PcJ4FDxkA////////////////////owXgD1ACbgQzOfJusQkAAAAAvN26sg==',
  /** Content size and checksum. */
  zstdSized:
    'KLUv/aTgdwIAfBgAxq53ORBXksYSkIAEJCABCUjAIgBQEyYgAQlIQAJEANTCns3HXVVVdWvFsZFGCCEpYbxgSAsSkGZZG2GBDJIANgBNAKqqqqoaRNsqUOCYh0cHyGNbBAgc67DZ/Ng0' +
    'Z8CAq6hQlA+qOQIEXDVFo+mhaU6AAFdJmSYeU3MAALgqiiTtkJrT0nIVlCjSETWHheWqJxCUA2rOWlc5eRw3x3GuaqI2bM7KylVMnpUNKzFuOBY0vGxgcTIuL+3CS6sQMwFDhswFmMyT' +
    'qRADQ8FCTFXjac7dVUsC/////////7+QbcuAgWMfhMmoqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqoBGttSoOAYiWkyMtlWJnNshCQVkWwrQYJjIqKISGRbCBAcCwFB' +
    'QyDbOnDgGIj//////////////////////////////////////////w8zDkNtSZBwjIZWEWqrqo7NeKAHovJAbUWIcEzGZjNlc1sQIByDQVFSqNuiqGMvNJoomtuapmMupgnKdFtRdKyF' +
    'JD2RbuuPsYgiJ9FtPc+xFRDUBLotF5djKp7Jt/XgwbEUusTbcuDgGIrnZyXPbTVocOzEZpNkY1sMGBwzQVFIKNtasOBYCY3mSIG9qJHUUlaUnTWhR2WdAxJAEJBwCBAII3gJe/5/9dUa' +
    'mw23f7T52U6m9kObd8AjZJz9aeYdjQz2wzD/6X2u37u8osRifZ3lHY1M9cMq/+l9qN+jvKLEMn3d5B2NjPTDJP/pfaLfi7yiEEPohyLPAY/E+Pmnjz96Ms6HOf5T+jS/13iKhoX5dYw/' +
    'ejLLhy3+U/oov6d4ioYl+XWJP3oyyKdg4yYoAkEkgSCUgBCKQBBJIAhFIIQkEARcTscXZ0+QgioQRQkKYQWUoAZEkSJCWAEDGmj8/Lz4qffwPA2rU70F2qi/4Z8OT/mNDIRPM7xwUpIj' +
    '+GOFdx/lDIBPI3w4KZTj97HBcx8lBr5PE3w4KZej97HAu49CBrynAV44Kcmx+7G/u30Uuv9NVeG3NVUBJQUAYgUUHKC1Of9/s/6X3t27L5Sp4t7duydoRESErCoWqjKMKey9cyoP1krW' +
    'e6VUFiiFqPfGqBxI6UjvhVAZgJCB3vuecnNOcd7rnDLzE39va8qLMAQeAOOHB4we+ADABZqLHx4heuADABdoHn54ROiBDwBcoDn44RGgBz4AcIHm34dHfB74AMAFmnsfHuF54AMAF2je' +
    'fXhE54EPAFygOffhEcPwwRWIz+7A',
} as const
