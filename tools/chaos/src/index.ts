// What other tools take from chaos: numbers from a seed and a patient caller of the product.
export { Random } from './random'
export { Api, Refused, type Call } from './http'
export { writerIdOf } from './poison'
